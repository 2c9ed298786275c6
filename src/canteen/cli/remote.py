"""Asking the server that runs at the configured address."""

from typing import Any

import httpx

from canteen.cli import store
from canteen.core.errors import CanteenError, EngineError

ANSWER_WITHIN_S = 10.0


def ask(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """A JSON answer; raises CanteenError when no server answers, or it refuses."""
    settings = store.settings()
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{host}:{settings.port}"
    try:
        answer = httpx.request(
            method,
            url + path,
            json=body,
            headers=store.credentials(settings),
            timeout=ANSWER_WITHIN_S,
            trust_env=False,
        )
        value = answer.json()
    except (httpx.HTTPError, ValueError) as exc:
        raise EngineError(
            f"no server answers at {url}; start one with `canteen serve`, "
            "or say where it is with CANTEEN_HOST and CANTEEN_PORT"
        ) from exc
    if answer.is_error:
        raise CanteenError(str(value.get("error", "the server refused")))
    return value
