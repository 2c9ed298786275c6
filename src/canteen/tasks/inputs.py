"""The texts that tasks are given."""

from canteen.core.errors import InvalidRequest


def checked(text: str, param: str = "input") -> str:
    """The text, where there is any; raises InvalidRequest, which is that of one input of many."""
    if not text.strip():
        raise InvalidRequest("the text is empty", param=param)
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise InvalidRequest(
            "the text has half of a surrogate pair; send valid Unicode", param=param
        ) from exc
    if "\0" in text:
        raise InvalidRequest("the text is binary; send the text in it", param=param)
    return text
