"""What can be asked for: a field of a request with its meaning and its limits, for every door."""

import dataclasses
from typing import Any

from canteen.core.errors import InvalidRequest


def asked(meaning: str, default: Any = None, **limits: Any) -> Any:
    """A field; `limits` are `least`, `most`, `choices`, what is `expected` where that is one of
    several forms, and the `flag` of the program where it is not the field's name."""
    return dataclasses.field(default=default, metadata={"meaning": meaning, **limits})


def check(request: Any) -> None:
    """Raises InvalidRequest, which names the field, for a value beyond its limits."""
    for one in dataclasses.fields(request):
        value = getattr(request, one.name)
        if value is not None:
            _check_limits(one.name, value, one.metadata)


def _check_limits(name: str, value: Any, limits: Any) -> None:
    if "choices" in limits and value not in limits["choices"]:
        raise InvalidRequest(
            f"{name} must be one of {', '.join(limits['choices'])}, not '{value}'", param=name
        )
    least, most = limits.get("least"), limits.get("most")
    # Written so that NaN, which compares with nothing, is refused.
    if least is not None and not least <= value <= most:
        raise InvalidRequest(f"{name} must be from {least:,} to {most:,}, not {value}", param=name)
