"""An API key: what it may do, and the secret that is shown once."""

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from canteen.core.access import SCOPES, Caller
from canteen.core.errors import InvalidRequest
from canteen.core.model import full_name
from canteen.metering.keys.limits import checked

# What is presented begins so, to be found by those who look for secrets where none should be.
PREFIX = "canteen_"
# How long the old secret of a key is good beside its new one, where nobody says.
OVERLAP_S = 24 * 3600.0
USUAL_SCOPES = ("llm:chat", "llm:embed", "llm:tasks")
_SECRET_BYTES = 32
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key; its secret is not. Times are seconds since 1970.

    `models` are names or patterns, empty for all. `limits` go by the names of `metering.keys.
    limits`.
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    models: tuple[str, ...] = ()
    limits: Mapping[str, float] = field(default_factory=dict)
    created_s: float = 0.0
    expires_s: float | None = None
    revoked_s: float | None = None

    @property
    def caller(self) -> Caller:
        """Who calls with it."""
        return Caller(self.id, frozenset(self.scopes), self.models, self.limits)

    def trouble(self, now_s: float) -> str:
        """Why it is no good now; empty where it is."""
        if self.revoked_s is not None:
            return "was revoked"
        if self.expires_s is not None and self.expires_s <= now_s:
            return "has expired"
        return ""

    def told(self) -> dict[str, Any]:
        """As its owner sees it."""
        return {
            "id": self.id,
            "name": self.name,
            "scopes": list(self.scopes),
            "models": list(self.models),
            "limits": dict(self.limits),
            "created_s": self.created_s,
            "expires_s": self.expires_s,
            "revoked_s": self.revoked_s,
        }


@dataclass(frozen=True, slots=True)
class Wanted:
    """A key to be made; raises InvalidRequest where there is no such scope or limit."""

    name: str
    scopes: tuple[str, ...] = USUAL_SCOPES
    models: tuple[str, ...] = ()
    limits: Mapping[str, float] = field(default_factory=dict)
    expires_s: float | None = None

    def __post_init__(self) -> None:
        if not self.name.strip() or len(self.name) > _LONGEST_NAME or not self.name.isprintable():
            raise InvalidRequest("a key's name has 1 to 100 printable characters", param="name")
        _check_scopes(self.scopes)
        checked(self.limits)
        # Raises for what cannot be a name.
        _ = self.model_names

    @property
    def model_names(self) -> tuple[str, ...]:
        """Its models as the catalog names them; patterns stay as they are."""
        return tuple(one if set(one) & set("*?") else full_name(one) for one in self.models)


def _check_scopes(scopes: Iterable[str]) -> None:
    unknown = [one for one in scopes if one not in SCOPES]
    if unknown or not scopes:
        said = f"'{unknown[0]}' is no scope" if unknown else "a key needs a scope"
        raise InvalidRequest(f"{said}; there are {', '.join(SCOPES)}", param="scopes")


def new_id() -> str:
    """An id that no other key has; it may be seen by anybody."""
    return f"key_{secrets.token_hex(8)}"


def new_secret() -> str:
    """256 random bits in 43 characters, after the prefix."""
    return PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def digest(secret: str) -> str:
    """What is kept of a secret. One fast hash is right for 256 random bits: there is no list of
    likely ones to try, which is what slow hashes are against, and each request pays for it."""
    return hashlib.sha256(secret.encode()).hexdigest()
