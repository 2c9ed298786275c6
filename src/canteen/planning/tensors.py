"""The tensors that a shape has, with the sizes that llama.cpp's names go by."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from canteen.planning.spec import Experts, Layer, ModelSpec

# What is no matrix of a linear layer and so is not quantized.
PLAIN = frozenset({"vector", "position_embd", "router"})
# Of these each token reads a row only.
LOOKED_UP = frozenset({"token_embd", "position_embd"})
EXPERTS = frozenset({"ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"})


@dataclass(frozen=True, slots=True)
class Tensor:
    """A weight: `rows` outputs of `cols` inputs, the quantized direction, `copies` times.

    `layer` is -1 outside the blocks. `is_output` tells what makes the logits, which may be the
    input embedding. `type` is its type in a real file, empty in a plan.
    """

    kind: str
    rows: int
    cols: int
    layer: int = -1
    copies: int = 1
    is_output: bool = False
    type: str = ""

    @property
    def num_parameters(self) -> int:
        """Its elements."""
        return self.rows * self.cols * self.copies


@lru_cache(maxsize=16)
def tensors(spec: ModelSpec, *, is_tied: bool) -> tuple[Tensor, ...]:
    """All weights of a shape; tied, the output is the input embedding."""
    hidden = spec.hidden_size
    has_output = spec.has_cache and not is_tied
    embedding = Tensor("token_embd", spec.vocab_size, hidden, is_output=not has_output)
    # The last norm, with a bias where there are any.
    made = [embedding, Tensor("vector", 2 if spec.has_bias else 1, hidden)]
    if has_output:
        made.append(Tensor("output", spec.vocab_size, hidden, is_output=True))
    if spec.num_positions:
        made.append(Tensor("position_embd", spec.num_positions, hidden))
    for index, layer in enumerate(spec.layers):
        made += (replace(one, layer=index) for one in _layer(spec, layer))
    return tuple(made)


def num_parameters(spec: ModelSpec) -> int:
    """Parameters; where it is not known whether the output is tied, as if it were not."""
    counted = sum(one.num_parameters for one in tensors(spec, is_tied=bool(spec.is_tied)))
    return round(counted * spec.scale)


def num_active_parameters(spec: ModelSpec) -> int:
    """Parameters that a token is multiplied with: of the experts its own only, and of the input
    embedding none, but where it is the output too."""
    return round(spec.scale * sum(_active(spec, one) for one in _read(spec)))


def active_share(experts: Experts) -> float:
    """The share of the routed experts that a token uses."""
    return experts.num_active / experts.num


def _active(spec: ModelSpec, one: Tensor) -> float:
    if one.kind not in EXPERTS:
        return one.num_parameters
    experts = spec.layers[one.layer].experts
    assert experts is not None
    return one.num_parameters * active_share(experts)


def _read(spec: ModelSpec) -> Iterator[Tensor]:
    """What a step reads: all but the rows that are looked up."""
    is_tied = bool(spec.is_tied)
    for one in tensors(spec, is_tied=is_tied):
        if one.kind not in LOOKED_UP or (one.kind == "token_embd" and is_tied):
            yield one


def _layer(spec: ModelSpec, layer: Layer) -> Iterator[Tensor]:
    yield from _attention(spec, layer)
    yield from _feed_forward(spec, layer)
    yield Tensor("vector", spec.num_norms, spec.hidden_size)
    if spec.has_qk_norm:
        yield Tensor("vector", 2, layer.key_dim)
    if spec.has_attention_bias:
        yield Tensor("vector", 1, _qkv_rows(layer))
    if spec.has_bias:
        # Of attention, of both matrices of the feed-forward, and of both norms.
        yield Tensor("vector", 1, _qkv_rows(layer) + layer.ff + 4 * spec.hidden_size)


def _qkv_rows(layer: Layer) -> int:
    return layer.num_heads * layer.key_dim + layer.num_kv_heads * (layer.key_dim + layer.value_dim)


def _attention(spec: ModelSpec, layer: Layer) -> Iterator[Tensor]:
    hidden, latent = spec.hidden_size, layer.latent
    query_rows = layer.num_heads * layer.key_dim
    if latent is None:
        yield Tensor("attn_q", query_rows, hidden)
        yield Tensor("attn_k", layer.num_kv_heads * layer.key_dim, hidden)
        yield Tensor("attn_v", layer.num_kv_heads * layer.value_dim, hidden)
    else:
        if latent.q_rank:
            yield Tensor("attn_q_a", latent.q_rank, hidden)
            yield Tensor("vector", 1, latent.q_rank)
            yield Tensor("attn_q_b", query_rows, latent.q_rank)
        else:
            yield Tensor("attn_q", query_rows, hidden)
        yield Tensor("attn_kv_a", latent.kv_rank + latent.rope_dim, hidden)
        yield Tensor("vector", 1, latent.kv_rank)
        yield Tensor(
            "attn_kv_b", layer.num_heads * (latent.nope_dim + layer.value_dim), latent.kv_rank
        )
    yield Tensor("attn_output", hidden, layer.num_heads * layer.value_dim)


def _feed_forward(spec: ModelSpec, layer: Layer) -> Iterator[Tensor]:
    experts = layer.experts
    if experts is None:
        yield from _matrices(spec, layer.ff)
        return
    yield Tensor("router", experts.num, spec.hidden_size)
    for one in _matrices(spec, experts.ff):
        yield replace(one, kind=f"{one.kind}_exps", copies=experts.num)
    if experts.shared_ff:
        yield from _matrices(spec, experts.shared_ff)


def _matrices(spec: ModelSpec, ff: int) -> Iterator[Tensor]:
    if spec.is_gated:
        yield Tensor("ffn_gate", ff, spec.hidden_size)
    yield Tensor("ffn_up", ff, spec.hidden_size)
    yield Tensor("ffn_down", spec.hidden_size, ff)
