"""Cards of models that are elsewhere, of chains of models and of pools of equal ones: there is
nothing to fetch."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Literal
from urllib.parse import urlsplit

from canteen.core.errors import EngineError, InvalidRequest, ModelNotFound
from canteen.core.model import ModelCard, full_name
from canteen.core.moments import now
from canteen.core.upstream import CHAIN, CONTEXT_LENGTH, EMBEDDER, GENERATOR, POOL, Upstream
from canteen.runtime.catalog import Catalog

Kind = Literal["generator", "embedder"]
UPSTREAM, CHAINED, POOLED = "upstream:", "chain:", "pool:"


def is_remote(source: str) -> bool:
    """Whether a source names an upstream, a chain or a pool."""
    return source.startswith((UPSTREAM, CHAINED, POOLED))


def upstream_card(
    name: str,
    upstream: Upstream,
    kind: Kind = "generator",
    context_length: int = CONTEXT_LENGTH,
) -> ModelCard:
    """The card of an upstream's model; raises InvalidRequest for a base URL that is none."""
    if not _is_url(upstream.base_url) or not upstream.model:
        raise InvalidRequest(
            "an upstream needs --base-url, which begins with https:// or http:// and ends before "
            "/chat/completions, and --model, its name there",
            param="base_url",
        )
    told = {"upstream": asdict(upstream)}
    source = f"{upstream.model} at {upstream.base_url}"
    engine = EMBEDDER if kind == "embedder" else GENERATOR
    return _card(name, source, told, kind=kind, engine=engine, context_length=context_length)


def chain_card(catalog: Catalog, name: str, source: str) -> ModelCard:
    """The card of `chain:A,B,C`, whose models are in the store; raises ModelNotFound, and
    InvalidRequest for what makes no chain."""
    cards = _named(catalog, source.removeprefix(CHAINED))
    if not _are_alike(cards) or any(card.engine == CHAIN for card in cards):
        raise InvalidRequest(
            "a chain is chain:MODEL,MODEL and so on: models of the store that all generate or all "
            "embed, and none of them a chain",
            param="model",
        )
    return _joined(name, CHAIN, CHAINED, cards)


def pool_card(catalog: Catalog, name: str, source: str) -> ModelCard:
    """The card of `pool:A,B,C`, whose upstreams are in the store; raises ModelNotFound, and
    InvalidRequest for what makes no pool."""
    cards = _named(catalog, source.removeprefix(POOLED))
    if not _are_alike(cards) or not all(card.upstream for card in cards):
        raise InvalidRequest(
            "a pool is pool:UPSTREAM,UPSTREAM and so on: upstreams of the store that all generate "
            "or all embed; pull each as upstream:NAME first",
            param="model",
        )
    return _joined(name, POOL, POOLED, cards)


def members_of(catalog: Catalog, card: ModelCard) -> list[ModelCard]:
    """All models that may be asked for one; raises what `groups_of` does."""
    return [one for group in groups_of(catalog, card) for one in group]


def groups_of(catalog: Catalog, card: ModelCard) -> list[list[ModelCard]]:
    """The models to ask for one, in order; those of a pool, which are equal, stand together. Left
    out is what was removed, or is no such model any more.

    Raises InvalidRequest where none of them is left."""
    links = _left(catalog, card) if card.engine == CHAIN else [card]
    groups = [_equals(catalog, one) for one in links if one.engine != CHAIN]
    if not any(groups):
        raise InvalidRequest(
            f"none of the models of '{card.name}' is in the store; pull it anew", param="model"
        )
    return groups


def _equals(catalog: Catalog, card: ModelCard) -> list[ModelCard]:
    """A model, or those of the pool that it is."""
    return [one for one in _left(catalog, card) if one.upstream] if card.members else [card]


def _left(catalog: Catalog, card: ModelCard) -> list[ModelCard]:
    """The members that can still be had."""
    left = list[ModelCard]()
    for name in card.members:
        with suppress(ModelNotFound, EngineError):
            left.append(catalog.get(name))
    return left


def _named(catalog: Catalog, names: str) -> list[ModelCard]:
    return [catalog.get(one.strip()) for one in names.split(",") if one.strip()]


def _are_alike(cards: Sequence[ModelCard]) -> bool:
    return len({card.kind for card in cards}) == 1


def _joined(name: str, engine: str, prefix: str, cards: Sequence[ModelCard]) -> ModelCard:
    members = [card.name for card in cards]
    if full_name(name) in members:
        raise InvalidRequest(f"a {engine} cannot have itself, '{name}', in it", param="name")
    return _card(
        name,
        prefix + ",".join(members),
        {"members": members},
        kind=cards[0].kind,
        engine=engine,
        context_length=min(card.context_length for card in cards),
    )


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _card(name: str, source: str, told: dict[str, Any], **fields: Any) -> ModelCard:
    text = json.dumps([fields["engine"], told], sort_keys=True)
    if "members" in told:
        told["members"] = tuple(told["members"])
    return ModelCard(
        name=full_name(name),
        digest="sha256:" + hashlib.sha256(text.encode()).hexdigest(),
        folder="",
        source=source,
        format="upstream",
        architecture=fields["engine"],
        num_parameters=0,
        size_bytes=0,
        quantization="unknown",
        modified_at=now(),
        **told,
        **fields,
    )
