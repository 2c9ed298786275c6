"""A shape for a model of which only the count of parameters is known."""

import math
from dataclasses import replace

from canteen.planning.spec import MOST_PARAMETERS, Layer, ModelSpec, impossible
from canteen.planning.tensors import num_parameters


def from_count(count: float) -> ModelSpec:
    """A shape for a bare count of parameters: that of dense models since 2024.

    Layers of 128 times as many columns, heads of 128, eight of them for keys and values, a
    vocabulary of 128,000; sizes are then scaled to the count.
    """
    if not 1e6 <= count <= MOST_PARAMETERS:
        raise impossible("a model has a million to 10^15 parameters, such as 135M or 7B", "model")
    wanted = (128 * count / 12) ** (1 / 3) / 128
    num_heads = 8 * round(wanted / 8) if wanted >= 8 else max(1, round(wanted))
    hidden = 128 * num_heads
    layer = Layer(num_heads, min(num_heads, 8), 128, 128, ff=math.ceil(3.5 * hidden))
    spec = ModelSpec(
        name=f"{_short(count)} parameters",
        hidden_size=hidden,
        vocab_size=min(128_000, max(1_000, int(count / 10 / hidden))),
        layers=(layer,) * max(1, round(hidden / 128)),
        context_length=131_072,
        is_tied=None,
        assumed="the shape is assumed, that of dense models since 2024; a config.json tells it",
    )
    return replace(spec, scale=count / num_parameters(spec))


def _short(count: float) -> str:
    """`7B`, as models are called."""
    for scale, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if count >= scale:
            return f"{count / scale:.4g}{letter}"
    return f"{count:.4g}"
