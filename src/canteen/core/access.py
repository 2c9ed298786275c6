"""Who calls, and what they may do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, get_args

Scope = Literal["llm:chat", "llm:embed", "llm:tasks", "llm:footprint", "llm:admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
# What a route asks of its caller: nothing, any key at all, or a key with a scope.
Needed = Literal["open", "key"] | Scope


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with a key. `models` are names, or patterns such as `smollm2:*`; empty for all.

    `limits` says how much of what it may have: see `metering.keys.limits`.
    """

    id: str
    scopes: frozenset[str] = frozenset(SCOPES)
    models: tuple[str, ...] = ()
    limits: Mapping[str, float] = field(default_factory=dict)

    def may(self, needed: Needed) -> bool:
        """Whether it may do what needs this."""
        return needed in ("open", "key") or needed in self.scopes

    def may_ask(self, model: str) -> bool:
        """Whether it may ask a model, told by its full name."""
        return not self.models or any(fnmatchcase(model, one) for one in self.models)
