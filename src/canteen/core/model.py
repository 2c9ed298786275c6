"""Models: their names, and the card that says what a stored model is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from canteen.core.errors import InvalidRequest
from canteen.core.upstream import POOL

# What a model does with a text: write on, make a vector, or tell how well it answers a query.
Kind = Literal["generator", "embedder", "reranker"]
# The source of what a job here has made, before the job's id: it cannot be had again.
MADE_HERE = "job:"
_NAME = re.compile(
    r"[A-Za-z0-9][\w.\-]*(/[A-Za-z0-9][\w.\-]*){0,2}(:[A-Za-z0-9][\w.\-]*)?", re.ASCII
)


def full_name(name: str) -> str:
    """`x` becomes `x:latest`; raises InvalidRequest for what cannot be a model's name."""
    if len(name) > 200 or not _NAME.fullmatch(name):
        raise InvalidRequest(
            "a model's name is like smollm2:135m: letters, digits, '.', '_', '-', "
            "at most two '/', and one optional ':tag'",
            param="model",
        )
    return name if ":" in name else f"{name}:latest"


def name_before(name: str, now_s: float) -> str:
    """What a model goes by that `name` held until now; raises InvalidRequest for a name that is
    too long for that."""
    return full_name(f"{name}-before-{datetime.fromtimestamp(now_s, UTC):%Y%m%dT%H%M%S.%f}")


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter as a model of its own: the model it goes on, by the name and the digest that
    it had when the adapter was pulled, and the highest rank of its matrices."""

    base: str
    base_digest: str
    rank: int


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model in the store, as its manifest describes it.

    `digest` is `sha256:…` of the source weights; `engine` names what runs it; `folder` is the
    prepared folder, relative to CANTEEN_HOME; `quality` is the record made when it was prepared.
    `parameters`, `system`, `template`, `messages` are defaults given with `create`. `upstream` has
    the fields of an Upstream where the model is elsewhere, `members` the models of a chain or
    pool. `adapter` has the fields of an Adapter where `folder` holds one, and no whole model.
    """

    name: str
    kind: Kind
    digest: str
    engine: str
    folder: str
    source: str
    format: str
    architecture: str
    num_parameters: int
    context_length: int
    size_bytes: int
    quantization: str
    modified_at: str
    embedding_length: int = 0
    license: str = ""
    parent: str = ""
    template: str = ""
    system: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[Mapping[str, Any], ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    quality: Mapping[str, Any] = field(default_factory=dict)
    upstream: Mapping[str, Any] = field(default_factory=dict)
    members: tuple[str, ...] = ()
    adapter: Mapping[str, Any] = field(default_factory=dict)

    @property
    def weights_digest(self) -> str:
        """All that it answers with: an adapter does so with the weights of its model too."""
        return "+".join(filter(None, (self.adapter.get("base_digest"), self.digest)))

    @property
    def is_made_here(self) -> bool:
        """Whether a job here has made it, so that it cannot be pulled again."""
        return self.source.startswith(MADE_HERE)


@dataclass(frozen=True, slots=True)
class Progress:
    """A step of long work: what is done, and bytes or items completed of a total."""

    status: str
    digest: str = ""
    completed: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Prepared:
    """What preparation found out and made: the ModelCard's fields that only it knows.

    `quality` is the record of what the preparation cost in accuracy and what it gained:
    `bytes_before`, `bytes_after`, and by kind perplexities or cosines, and speed.
    """

    kind: Kind
    engine: str
    format: str
    architecture: str
    num_parameters: int
    context_length: int
    size_bytes: int
    quantization: str
    embedding_length: int = 0
    template: str = ""
    license: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    quality: Mapping[str, Any] = field(default_factory=dict)


def capabilities(card: ModelCard) -> tuple[str, ...]:
    """What a model can do, in Ollama's words."""
    if card.kind != "generator":
        return ("embedding",) if card.kind == "embedder" else ("rerank",)
    has_tools = card.engine in ("echo", POOL) or card.upstream or "tools" in card.template
    return ("completion", "tools") if has_tools else ("completion",)
