"""`GET /v1/footprint`: a receipt with its derivation, and sums of the ledger."""

import asyncio
from typing import Any

from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from canteen.api.errors import HttpError
from canteen.api.routing import Served
from canteen.api.whole import whole
from canteen.core.errors import InvalidRequest
from canteen.metering.receipt import as_json, derivation
from canteen.metering.sums import Span

_ASKED = ("by", "since", "until")


class Derived(BaseModel):
    """A receipt and, in `derivation`, how its figures came about."""

    model_config = ConfigDict(extra="allow")
    id: str
    derivation: dict[str, Any]


class Sums(BaseModel):
    """One entry per group; for `by=account` the accounts themselves."""

    model_config = ConfigDict(extra="allow")
    by: str
    sums: list[dict[str, Any]] = []


async def receipt(served: Served) -> Response:
    """A receipt by its id."""
    receipt_id = served.path["id"]
    found = await asyncio.to_thread(served.services.accounting.ledger.receipt, receipt_id)
    if found is None:
        raise HttpError(
            404,
            f"no receipt '{receipt_id[:64]}'; the header x-canteen-receipt of an answer has its id",
            code="receipt_not_found",
        )
    told = {**as_json(found), "derivation": derivation(found)}
    return whole(told)


async def sums(served: Served) -> Response:
    """Sums by model, key, phase, hour, day, conversation, account or node, `since` to `until`."""
    asked = served.request.query_params
    for name in asked:
        if name not in _ASKED:
            raise InvalidRequest(f"'{name}' is none of {', '.join(_ASKED)}", param=name)
    span = Span.told(asked.get("since"), asked.get("until"))
    accounting = served.services.accounting
    accounting.book()
    told = await asyncio.to_thread(accounting.ledger.sums, asked.get("by", "model"), span)
    return whole(told)
