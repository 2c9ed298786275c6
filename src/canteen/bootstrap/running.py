"""Which engine runs a model here, and what it is told."""

import logging
from dataclasses import replace
from typing import Any

from canteen.core.model import ModelCard
from canteen.engines.devices import gpus
from canteen.planning import kv
from canteen.planning.memory import Sequences
from canteen.planning.offload import layers_on_gpu
from canteen.planning.subject import has_shape, of_card
from canteen.runtime import adapters
from canteen.runtime.catalog import Catalog
from canteen.runtime.memory import GB
from canteen.runtime.pull import PREPARATION
from canteen.settings import Settings

logger = logging.getLogger(__name__)

LLAMACPP = "llamacpp"
# What each engine keeps its cache in.
KV_TYPES = {"openvino": "bf16", LLAMACPP: "f16"}
# Of a model whose shape is unknown, its cache is not made larger than this.
MOST_UNPLANNED_TOKENS = 8192
ALL_LAYERS = 999
# Of one model that vLLM computes with in the same step; each takes memory of the device.
MOST_ADAPTERS = 8


def chosen(settings: Settings, catalog: Catalog, card: ModelCard) -> ModelCard:
    """The card with the engine that runs it: the one it was prepared for, unless the setting wants
    its file, which is there as it was published, to be run by llama.cpp."""
    if settings.engine != LLAMACPP or (card.engine, card.format) != ("openvino", "gguf"):
        return card
    is_usual = catalog.path(card) == catalog.prepared(card.digest, PREPARATION)
    blob = catalog.blob_path(card.digest)
    if not is_usual or not blob.exists():
        return card
    return replace(card, engine=LLAMACPP, size_bytes=blob.stat().st_size)


def options(settings: Settings, catalog: Catalog, card: ModelCard) -> dict[str, Any]:
    """An engine's keyword arguments."""
    if card.engine == "echo-embedder":
        return {}
    if card.engine == "echo":
        known = ("tokens_per_s", "prefill_tokens_per_s", "context_length", "sleeps")
        wanted = {key: card.parameters[key] for key in known if key in card.parameters}
        room = max(adapters.ranks(catalog, card), default=0)
        return {"max_num_seqs": settings.max_num_seqs, "adapter_rank": room, **wanted}
    told: dict[str, Any] = {"folder": str(catalog.path(card))}
    if card.engine == "vllm":
        ranks = adapters.ranks(catalog, card)
        return told | {
            "max_num_seqs": settings.max_num_seqs,
            "kv_cache_gb": settings.kv_cache_gb,
            "adapter_rank": max(ranks, default=0),
            "max_loras": str(min(max(len(ranks), 1), MOST_ADAPTERS)),
            **dict(pair.split("=", 1) for pair in settings.vllm),
        }
    told |= {"num_threads": settings.num_threads}
    if card.engine == "openvino":
        told |= {
            "max_num_seqs": settings.max_num_seqs,
            "kv_cache_gb": settings.kv_cache_gb,
            "max_batched_tokens": settings.max_batched_tokens,
        }
    if card.engine.startswith(LLAMACPP):
        told["model"] = str(catalog.blob_path(card.digest))
        told["num_gpu_layers"] = _gpu_layers(settings, card)
    if card.engine == LLAMACPP:
        told |= {
            "max_num_seqs": settings.max_num_seqs,
            "kv_cache_tokens": kv_cache_tokens(settings, card),
            "max_batched_tokens": settings.max_batched_tokens,
        }
    return told


def kv_cache_tokens(settings: Settings, card: ModelCard) -> int:
    """What all sequences may hold together, as the memory for it allows; no more than they can."""
    if not has_shape(card):
        return min(card.context_length, MOST_UNPLANNED_TOKENS)
    allowed = (
        settings.kv_cache_gb * GB // kv.bytes_per_token(of_card(card).spec, KV_TYPES[LLAMACPP])
    )
    return int(min(allowed, card.context_length * settings.max_num_seqs))


def _gpu_layers(settings: Settings, card: ModelCard) -> int:
    """Layers for the GPU, if there is one: what the planner finds room for; of a model whose shape
    it does not know, all, if its file fits twice."""
    # On a Ray cluster it computes on processors: the GPUs of this machine are not its.
    found = () if settings.ray else gpus()
    if not found:
        return 0
    free_bytes = sum(gpu.free_bytes for gpu in found)
    if not has_shape(card):
        return ALL_LAYERS if 2 * card.size_bytes < free_bytes else 0
    subject = of_card(card)
    tokens = kv_cache_tokens(settings, card)
    length = min(tokens, card.context_length)
    # As many whole contexts as the cache has room for.
    sequences = Sequences(length, max(1, tokens // length), KV_TYPES[LLAMACPP])
    num = layers_on_gpu(subject.spec, subject.weights_in(None), sequences, free_bytes)
    told = "%s: %d of %d layers on %s"
    logger.info(told, card.name, num, len(subject.spec.layers) + 1, found[0].description)
    return num
