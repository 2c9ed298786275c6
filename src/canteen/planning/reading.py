"""What a step of a model reads and computes, from its shape and the format of its weights."""

from collections.abc import Sequence

from canteen.planning.kv import element_bytes
from canteen.planning.quantization import Format
from canteen.planning.roofline import Attention, Reading
from canteen.planning.spec import Layer, ModelSpec
from canteen.planning.tensors import (
    EXPERTS,
    LOOKED_UP,
    Tensor,
    active_share,
    num_active_parameters,
    tensors,
)


def reading(spec: ModelSpec, form: Format, kv_type: str, weights: Sequence[Tensor] = ()) -> Reading:
    """What each step reads of a model with weights in a format. `weights` are the tensors of a
    real file; else the shape tells them, with an output of its own unless it is known to be tied.

    Raises InvalidRequest for a cache of a type that no cache is of.
    """
    weights = weights or tensors(spec, is_tied=bool(spec.is_tied))
    read = dict.fromkeys(("shared", "experts"), 0.0)
    for one in _read(weights, has_output=spec.has_cache):
        kind = "experts" if one.kind in EXPERTS else "shared"
        read[kind] += form.num_bytes(one) * spec.scale
    windows = dict.fromkeys(layer.window for layer in spec.layers)
    mixed = [layer.experts for layer in spec.layers if layer.experts]
    return Reading(
        num_active_parameters(spec),
        read["shared"],
        tuple(_attention(spec, window, kv_type) for window in windows),
        read["experts"],
        active_share(mixed[0]) if mixed else 1.0,
    )


def _read(weights: Sequence[Tensor], *, has_output: bool) -> list[Tensor]:
    """All but what is looked up by row; an embedding that is the output too is read for that."""
    is_tied = has_output and not any(one.kind == "output" for one in weights)
    looked_up = LOOKED_UP - {"token_embd"} if is_tied else LOOKED_UP
    return [one for one in weights if one.kind not in looked_up]


def _attention(spec: ModelSpec, window: int | None, kv_type: str) -> Attention:
    layers = [layer for layer in spec.layers if layer.window == window]
    return Attention(
        # Each head multiplies a query with a key, and a weight with a value.
        sum(2 * one.num_heads * (one.key_dim + one.value_dim) for one in layers),
        element_bytes(kv_type) * sum(_cached(one) for one in layers),
        window,
    )


def _cached(layer: Layer) -> int:
    """Numbers that a token leaves in the cache."""
    if layer.latent is not None:
        return layer.latent.kv_rank + layer.latent.rope_dim
    return layer.num_kv_heads * (layer.key_dim + layer.value_dim)
