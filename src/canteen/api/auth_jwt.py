"""Tokens that somebody else signs (JWT), checked with the keys that they publish (JWKS)."""

import asyncio
import hashlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx

from canteen.core.access import SCOPES, Caller
from canteen.core.errors import InvalidRequest, Overloaded, Unauthorized
from canteen.metering.keys.limits import checked

if TYPE_CHECKING:
    from canteen.settings import Settings

# Never those of a shared secret: who can check such a token can make one.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
CLAIMS = ("exp", "iss", "aud", "sub")
# Clocks differ.
LEEWAY_S = 30
# An unknown key id has the keys fetched again, but not by everybody who makes one up.
AGAIN_AFTER_S = 10.0
FETCH_WITHIN_S = 5.0
SANE_SUBJECT = re.compile(r"[\x21-\x7e]{1,128}")

Fetch = Callable[[], Mapping[str, Any]]


class Tokens:
    """Callers by their tokens. The signer's keys are fetched once, and again for a token whose key
    is none of them; no request asks the network otherwise."""

    def __init__(
        self,
        settings: "Settings",
        fetch: Fetch | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._jwt = _library()
        self._settings = settings
        self._limits = _limits(settings.jwt_limits)
        self._fetch = fetch or self._fetched
        self._clock = clock
        self._keys: dict[str | None, Any] = {}
        self._fetched_s = float("-inf")
        self._fetching = asyncio.Lock()

    @classmethod
    def of(cls, settings: "Settings") -> "Tokens | None":
        """As the settings say; None where they name no signer. Raises InvalidRequest."""
        if not settings.jwks_url:
            return None
        for name, value in (
            ("CANTEEN_JWT_ISSUER", settings.jwt_issuer),
            ("CANTEEN_JWT_AUDIENCE", settings.jwt_audience),
        ):
            if not value:
                raise InvalidRequest(f"CANTEEN_JWKS_URL needs {name} too", param=name)
        return cls(settings)

    async def caller(self, token: str) -> Caller:
        """Who shows this; raises Unauthorized, and Overloaded where the keys cannot be had."""
        jwt, told = self._jwt, self._settings
        try:
            head = jwt.get_unverified_header(token)
            if head.get("alg") not in ALGORITHMS:
                raise Unauthorized("this token is signed in a way that is not accepted here")
            key = await self._key(head.get("kid"))
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=told.jwt_audience,
                issuer=told.jwt_issuer,
                leeway=LEEWAY_S,
                options={"require": list(CLAIMS)},
            )
        except jwt.PyJWTError as error:
            raise Unauthorized(f"this token is not accepted: {_why(error)}") from error
        return _caller(claims, told.jwt_scopes_claim, self._limits)

    async def _key(self, kid: str | None) -> Any:
        async with self._fetching:
            if self._found(kid) is None and self._clock() - self._fetched_s >= AGAIN_AFTER_S:
                self._fetched_s = self._clock()
                await self._fetch_keys()
        key = self._found(kid)
        if key is None:
            raise Unauthorized("this token is signed with a key that its issuer does not publish")
        return key

    def _found(self, kid: str | None) -> Any:
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid)

    async def _fetch_keys(self) -> None:
        try:
            told = await asyncio.to_thread(self._fetch)
            found = self._jwt.PyJWKSet.from_dict(dict(told)).keys
        except (httpx.HTTPError, ValueError, TypeError, self._jwt.PyJWTError) as error:
            raise Overloaded(
                "the keys of the tokens' issuer cannot be had now; ask again",
                retry_after_s=AGAIN_AFTER_S,
                code="jwks_unavailable",
            ) from error
        self._keys = {key.key_id: key for key in found if key.public_key_use in (None, "sig")}

    def _fetched(self) -> Mapping[str, Any]:
        answer = httpx.get(self._settings.jwks_url, timeout=FETCH_WITHIN_S)
        told = answer.raise_for_status().json()
        if not isinstance(told, dict):
            raise ValueError("no set of keys")
        return told


def _library() -> Any:
    try:
        import cryptography.hazmat  # noqa: F401 - PyJWT checks signatures with it
        import jwt
    except ImportError:
        raise InvalidRequest(
            "tokens need a library: pip install 'canteen-llm[jwt]'", param="CANTEEN_JWKS_URL"
        ) from None
    return jwt


def _why(error: Exception) -> str:
    """Its kind in words, never its text, which may repeat what was sent."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__.removesuffix("Error")).lower()


def _limits(told: Sequence[str]) -> Mapping[str, float]:
    try:
        amounts = {name: float(amount) for name, _, amount in (one.partition("=") for one in told)}
        return checked(amounts)
    except (ValueError, InvalidRequest) as error:
        said = error.message if isinstance(error, InvalidRequest) else "an amount is no number"
        raise InvalidRequest(
            f"CANTEEN_JWT_LIMITS is no list such as tokens_per_day=100000,concurrency=4: {said}",
            param="CANTEEN_JWT_LIMITS",
        ) from None


def _caller(claims: Mapping[str, Any], scopes_claim: str, limits: Mapping[str, float]) -> Caller:
    said = claims.get(scopes_claim, ())
    scopes = said.split() if isinstance(said, str) else said
    known = frozenset(one for one in SCOPES if isinstance(scopes, list | tuple) and one in scopes)
    subject = str(claims["sub"])
    if not SANE_SUBJECT.fullmatch(subject):
        subject = hashlib.sha256(subject.encode()).hexdigest()[:16]
    return Caller(f"jwt-{subject}", known, limits=limits)
