"""The shape of a model: what its memory and its time follow from."""

from dataclasses import dataclass

from canteen.core.errors import InvalidRequest

MOST_PARAMETERS = 1e15


@dataclass(frozen=True, slots=True)
class Latent:
    """Multi-head latent attention: ranks of its low-rank projections, sizes of its head parts."""

    kv_rank: int
    rope_dim: int
    nope_dim: int
    q_rank: int = 0


@dataclass(frozen=True, slots=True)
class Experts:
    """A mixture of experts: how many, how many of them a token uses, and their width.

    `shared_ff` is the width of what every token uses beside them.
    """

    num: int
    num_active: int
    ff: int
    shared_ff: int = 0


@dataclass(frozen=True, slots=True)
class Layer:
    """One block. `window` is how far back it sees, None without limit; `latent` and `experts`
    are None where it has none."""

    num_heads: int
    num_kv_heads: int
    key_dim: int
    value_dim: int
    ff: int
    window: int | None = None
    latent: Latent | None = None
    experts: Experts | None = None


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The shape of a model.

    `is_tied` says that the output shares the input embedding, None that it is not known.
    `is_gated`: its feed-forward has three matrices, else two. `has_cache` is false for a model
    that only encodes. `assumed` says in words what of the shape is a guess; then its weights are
    `scale` times what its layers have, and its cache is that of the layers.
    """

    name: str
    hidden_size: int
    vocab_size: int
    layers: tuple[Layer, ...]
    context_length: int
    is_tied: bool | None = None
    is_gated: bool = True
    has_attention_bias: bool = False
    has_bias: bool = False
    has_qk_norm: bool = False
    num_positions: int = 0
    num_norms: int = 2
    has_cache: bool = True
    dtype: str = "bf16"
    scale: float = 1.0
    assumed: str = ""

    def __post_init__(self) -> None:
        counts = {
            "hidden_size": self.hidden_size,
            "vocab_size": self.vocab_size,
            "num_hidden_layers": len(self.layers),
            "max_position_embeddings": self.context_length,
        }
        for name, value in counts.items():
            if value < 1:
                raise impossible(f"{name} is {value}; it is 1 at least", name)
        for layer in set(self.layers):
            _check(layer)


def impossible(message: str, param: str) -> InvalidRequest:
    """What a shape that cannot be is refused with."""
    return InvalidRequest(f"no such model can be: {message}", param=param)


def _check(layer: Layer) -> None:
    if layer.num_heads % layer.num_kv_heads:
        raise impossible(
            f"{layer.num_kv_heads} heads of keys do not divide {layer.num_heads} heads",
            "num_key_value_heads",
        )
    if min(layer.key_dim, layer.value_dim, layer.ff) < 1:
        raise impossible("heads and feed-forward have one column at least", "head_dim")
    experts = layer.experts
    if experts is not None and not 1 <= experts.num_active <= experts.num:
        raise impossible(
            f"a token uses 1 to {experts.num} experts, not {experts.num_active}",
            "num_experts_per_tok",
        )
