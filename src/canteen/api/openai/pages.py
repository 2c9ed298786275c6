"""Lists a page at a time, as OpenAI's clients turn them."""

from collections.abc import Mapping, Sequence
from typing import Any

from canteen.core.errors import InvalidRequest

USUAL, MOST = 20, 100


def page(
    items: Sequence[Mapping[str, Any]], asked: Mapping[str, str], most: int = MOST
) -> dict[str, Any]:
    """The `limit` of a list that come after the one with the id `after`; raises InvalidRequest."""
    text = asked.get("limit", str(USUAL))
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise InvalidRequest(f"limit is a whole number from 1 to {most}", param="limit")
    ids = [item["id"] for item in items]
    after = asked.get("after")
    if after is not None and after not in ids:
        raise InvalidRequest(f"there is no '{after[:64]}' to go on after", param="after")
    begin = 0 if after is None else ids.index(after) + 1
    data = items[begin : begin + int(text)]
    return {
        "object": "list",
        "data": list(data),
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": begin + len(data) < len(items),
    }
