"""Webhooks as Standard Webhooks has them: signed, so that who gets one knows who sent it.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import binascii
import hashlib
import hmac
import re
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection
from urllib.parse import urlsplit

import httpx

from canteen.core.errors import Forbidden, InvalidRequest
from canteen.core.version import VERSION
from canteen.runtime.deferred.outbox import Letter
from canteen.runtime.deferred.posting import PATIENCE_S, Undelivered

KIND = "webhook"
SIGNING = "CANTEEN_WEBHOOK_SECRET"
HOSTS = "CANTEEN_WEBHOOK_HOSTS"
_PREFIX = "whsec_"
# The specification's bounds of a secret.
_SECRET_BYTES = range(24, 65)
# Says that nobody wants any more of them.
_GONE = 410
_SANE_URL = re.compile(r"[\x21-\x7e]+")


class Webhooks:
    """Sends letters to URLs of the hosts that are allowed; an empty secret allows none."""

    def __init__(
        self, secret: str, hosts: Collection[str], clock: Callable[[], float] = time.time
    ) -> None:
        self._key = key_of(secret) if secret else b""
        self._hosts = frozenset(host.lower() for host in hosts)
        self._clock = clock

    def check(self, url: str) -> None:
        """Raises InvalidRequest for what is no URL, and Forbidden where none may be sent to it."""
        try:
            parts = urlsplit(url)
            host = (parts.hostname or "").lower()
            # Asking for the port is what checks it.
            is_whole = parts.scheme in ("http", "https") and bool(host) and parts.port != 0
            is_sane = is_whole and "@" not in parts.netloc and _SANE_URL.fullmatch(url) is not None
        except ValueError:
            is_sane = False
        if not is_sane:
            raise InvalidRequest(
                "a webhook is a URL, https://HOST/PATH, without a password", param="webhook"
            )
        if not self._key:
            raise Forbidden(
                f"webhooks are off here; set {SIGNING} (whsec_…), which signs them", param="webhook"
            )
        if host not in self._hosts:
            raise Forbidden(
                f"no webhooks are sent to {host[:64]}; list it in {HOSTS}", param="webhook"
            )

    async def send(self, letter: Letter) -> None:
        """Send a letter, signed; raises Undelivered."""
        try:
            self.check(letter.target)
        except InvalidRequest as error:
            # It was allowed when it was asked for.
            raise Undelivered(error.message) from error
        stamp = str(int(self._clock()))
        headers = {
            "content-type": "application/json",
            "user-agent": f"canteen/{VERSION}",
            **letter.headers,
            "webhook-id": letter.id,
            "webhook-timestamp": stamp,
            "webhook-signature": signature(self._key, letter.id, stamp, letter.body),
        }
        try:
            # A proxy of the environment is for what goes to the world; redirects lead anywhere.
            async with (
                httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as client,
                client.stream(
                    "POST", letter.target, content=letter.body.encode(), headers=headers
                ) as answer,
            ):
                # Nobody reads what is said besides.
                status = answer.status_code
        except httpx.HTTPError as exc:
            raise Undelivered(f"{type(exc).__name__}: {exc}"[:200]) from exc
        if not 200 <= status < 300:
            raise Undelivered(f"it was answered {status}", is_final=status == _GONE)


def key_of(secret: str) -> bytes:
    """The key of a secret, `whsec_` and base64 of 24 to 64 bytes; raises InvalidRequest."""
    try:
        key = b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_PREFIX) or len(key) not in _SECRET_BYTES:
        raise InvalidRequest(
            f"{SIGNING} must be {_PREFIX} and then 24 to 64 random bytes in base64, as from "
            "`echo whsec_$(openssl rand -base64 32)`",
            param=SIGNING,
        )
    return key


def signature(key: bytes, letter_id: str, stamp: str, body: str) -> str:
    """What `webhook-signature` says of a letter that is sent at `stamp`."""
    signed = f"{letter_id}.{stamp}.{body}".encode()
    return f"v1,{b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"
