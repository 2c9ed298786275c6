"""What the KV cache takes. Formulas: docs/methodology/memory.md."""

from collections.abc import Mapping
from math import ceil

from canteen.core.errors import InvalidRequest
from canteen.planning.spec import Layer, ModelSpec

# Bytes of an element with its part of the scales.
ELEMENT_BYTES: Mapping[str, float] = {
    "f32": 4.0,
    "f16": 2.0,
    "bf16": 2.0,
    "fp8": 1.0,
    "q8_0": 1.0625,
    "q5_1": 0.75,
    "q5_0": 0.6875,
    "q4_1": 0.625,
    "q4_0": 0.5625,
}


def element_bytes(kv_type: str) -> float:
    """Bytes of an element. Raises InvalidRequest for a type that no cache is of."""
    found = ELEMENT_BYTES.get(kv_type.lower())
    if found is None:
        known = ", ".join(ELEMENT_BYTES)
        raise InvalidRequest(f"no KV cache is '{kv_type}'; it can be {known}", param="kv_cache")
    return found


def bytes_per_token(spec: ModelSpec, kv_type: str) -> int:
    """Bytes that a token adds to the cache while all layers see it."""
    if not spec.has_cache:
        return 0
    each = sum(_elements(layer) for layer in spec.layers)
    return round(each * element_bytes(kv_type))


def bytes_per_sequence(spec: ModelSpec, kv_type: str, context: int, block: int = 1) -> int:
    """Bytes of a sequence of that context, in whole blocks of tokens; a layer with a window keeps
    no more than that. Raises InvalidRequest for a context beyond the model's."""
    if context > spec.context_length:
        raise InvalidRequest(
            f"{spec.name} holds {spec.context_length:,} tokens; a context of {context:,} is "
            "beyond that",
            param="context_length",
        )
    if not spec.has_cache:
        return 0
    per_element = element_bytes(kv_type)
    elements = sum(_elements(layer) * _cells(layer, context, block) for layer in spec.layers)
    return round(elements * per_element)


def _elements(layer: Layer) -> int:
    """Of one token in one layer; a latent is kept once, for keys and values."""
    if layer.latent is not None:
        return layer.latent.kv_rank + layer.latent.rope_dim
    return layer.num_kv_heads * (layer.key_dim + layer.value_dim)


def _cells(layer: Layer, context: int, block: int) -> int:
    seen = context if layer.window is None else min(context, layer.window)
    return ceil(seen / block) * block
