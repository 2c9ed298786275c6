"""The shape of a model from a config.json, or from a GGUF's header."""

from collections.abc import Mapping
from typing import Any

from canteen.planning import architectures
from canteen.planning.published_format import published_format
from canteen.planning.spec import MOST_PARAMETERS, Experts, Latent, Layer, ModelSpec, impossible
from canteen.planning.tensors import num_parameters


def from_config(config: Mapping[str, Any], name: str = "") -> ModelSpec:
    """The shape that a Hugging Face config.json tells.

    Raises InvalidRequest for one that lacks a size, whose sizes do not go together, or whose layers
    are of a kind that is not known.
    """
    inner = config.get("text_config")
    config = {**config, **(inner if isinstance(inner, Mapping) else {})}
    kind = config["model_type"] = str(config.get("model_type", ""))
    architectures.check(config)
    sizes = _Sizes(config)
    hidden = sizes.need("hidden_size", "n_embd", "d_model")
    num_layers = sizes.need("num_hidden_layers", "n_layer")
    if num_layers > _MOST_LAYERS:
        raise impossible(f"num_hidden_layers is {num_layers}", "num_hidden_layers")
    spec = ModelSpec(
        name=name or str(config.get("_name_or_path", "")) or kind or "a model",
        hidden_size=hidden,
        vocab_size=sizes.need("vocab_size"),
        layers=tuple(_layer(config, sizes, hidden, index) for index in range(num_layers)),
        context_length=sizes.need("max_position_embeddings", "n_positions", "n_ctx"),
        is_tied=_is_tied(config, kind),
        is_gated=kind not in architectures.UNGATED,
        has_attention_bias=bool(
            config.get("attention_bias", kind in architectures.BIASED_ATTENTION)
        ),
        has_bias=kind in architectures.UNGATED,
        has_qk_norm=kind in architectures.QK_NORMED,
        num_positions=sizes.need("max_position_embeddings", "n_positions")
        if kind in architectures.POSITIONED
        else 0,
        num_norms=4 if kind.startswith("gemma") and kind != "gemma" else 2,
        has_cache=kind not in architectures.ENCODERS,
        dtype=published_format(config),
        assumed=architectures.assumption(config),
    )
    if num_parameters(spec) > MOST_PARAMETERS:
        raise impossible("it would have more than 10^15 parameters", "hidden_size")
    return spec


def from_gguf(
    metadata: Mapping[str, Any], vocab_size: int = 0, is_tied: bool | None = None
) -> ModelSpec:
    """The shape that the header of a GGUF tells, by its keys.

    `vocab_size` and `is_tied` are what the tensors tell and the header may not.
    """
    kind = str(metadata.get("general.architecture", ""))
    if not kind:
        raise impossible("the header does not tell general.architecture", "model")
    own = {
        key.removeprefix(f"{kind}."): value
        for key, value in metadata.items()
        if key.startswith(f"{kind}.")
    }
    # What is left of the header's own keys tells whether its layers are of a known kind.
    config: dict[str, Any] = {key: value for key, value in own.items() if key not in _GGUF_KEYS}
    config |= {"model_type": kind, "vocab_size": vocab_size or None}
    for key, ours in _GGUF_KEYS.items():
        if (value := own.get(key)) is not None:
            config[ours] = value
    config["tie_word_embeddings"] = is_tied
    named = str(metadata.get("general.name", kind))
    return from_config({key: value for key, value in config.items() if value is not None}, named)


# No model is as deep, and no size of one as large.
_MOST_LAYERS = 1_000
_MOST = 10**9
_GGUF_KEYS = {
    "block_count": "num_hidden_layers",
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "vocab_size": "vocab_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.value_length": "value_dim",
    # With latent attention the plain lengths are those of the cache, and these the heads'.
    "attention.key_length_mla": "head_dim",
    "attention.value_length_mla": "value_dim",
    "attention.sliding_window": "sliding_window",
    "attention.kv_lora_rank": "kv_lora_rank",
    "attention.q_lora_rank": "q_lora_rank",
    "rope.dimension_count": "qk_rope_head_dim",
    "expert_count": "num_experts",
    "expert_used_count": "num_experts_per_tok",
    "expert_feed_forward_length": "moe_intermediate_size",
    "expert_shared_count": "n_shared_experts",
    "leading_dense_block_count": "first_k_dense_replace",
}


class _Sizes:
    """Whole numbers of a config; what is given is positive, or InvalidRequest is raised."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config

    def need(self, *names: str) -> int:
        """The first of these that is given; raises InvalidRequest where none is."""
        found = self.get(*names)
        if found is None:
            raise impossible(f"the model's configuration does not tell {names[0]}", names[0])
        return found

    def get(self, *names: str) -> int | None:
        """The first of these that is given."""
        for name in names:
            value = self._config.get(name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise impossible(f"{name} must be a whole number, not {value!r}", name)
            if value > _MOST:
                raise impossible(f"{name} is more than {_MOST:,}", name)
            return value
        return None

    def columns(self, *names: str) -> int | None:
        """The first of these that is given, of which 0 is none."""
        found = self.get(*names)
        if found == 0:
            raise impossible(f"{names[0]} is 0; heads have one column at least", names[0])
        return found


def _layer(config: Mapping[str, Any], sizes: _Sizes, hidden: int, index: int) -> Layer:
    num_heads = _of_layer(config, sizes, index, "num_attention_heads", "n_head")
    num_kv_heads = num_heads
    if config.get("num_key_value_heads") is not None:
        num_kv_heads = _of_layer(config, sizes, index, "num_key_value_heads")
    if num_heads < 1 or num_kv_heads < 1:
        raise impossible("a layer has one head at least", "num_attention_heads")
    latent = _latent(sizes)
    head_dim = sizes.columns("head_dim")
    # GPT-2's own configurations leave it out.
    usual_ff = 4 * hidden if config["model_type"] in architectures.UNGATED else None
    if latent is not None:
        key_dim = latent.nope_dim + latent.rope_dim
    elif head_dim is None and hidden % num_heads:
        raise impossible(
            f"{num_heads} heads do not divide a hidden_size of {hidden}; give head_dim",
            "num_attention_heads",
        )
    else:
        key_dim = head_dim or hidden // num_heads
    return Layer(
        num_heads,
        num_kv_heads,
        key_dim,
        sizes.columns("v_head_dim", "value_dim") or key_dim,
        ff=_of_layer(config, sizes, index, "intermediate_size", "n_inner", usual=usual_ff),
        window=_window(config, sizes, index),
        latent=latent,
        experts=_experts(config, sizes, index),
    )


def _of_layer(
    config: Mapping[str, Any], sizes: _Sizes, index: int, *names: str, usual: int | None = None
) -> int:
    """A size that may differ by layer, told as a list then."""
    for name in names:
        if isinstance(config.get(name), list) and (each := config[name]):
            return _Sizes({name: each[index % len(each)]}).need(name)
    found = sizes.get(*names)
    return usual if found is None and usual is not None else sizes.need(*names)


def _latent(sizes: _Sizes) -> Latent | None:
    rank = sizes.get("kv_lora_rank")
    if not rank:
        return None
    rope_dim = sizes.need("qk_rope_head_dim")
    nope_dim = sizes.get("qk_nope_head_dim")
    if nope_dim is None:
        nope_dim = sizes.need("head_dim") - rope_dim
    return Latent(rank, rope_dim, nope_dim, sizes.get("q_lora_rank") or 0)


def _experts(config: Mapping[str, Any], sizes: _Sizes, index: int) -> Experts | None:
    num = sizes.get("num_local_experts", "n_routed_experts", "num_experts")
    is_dense = (
        index < (sizes.get("first_k_dense_replace") or 0)
        or index in _list(config, "mlp_only_layers")
        or (index + 1) % (sizes.get("decoder_sparse_step") or 1) != 0
    )
    if not num or is_dense:
        return None
    ff = sizes.get("moe_intermediate_size") or sizes.need("intermediate_size")
    shared_ff = sizes.get("shared_expert_intermediate_size")
    return Experts(
        num,
        sizes.need("num_experts_per_tok"),
        ff,
        (sizes.get("n_shared_experts") or 0) * ff if shared_ff is None else shared_ff,
    )


def _window(config: Mapping[str, Any], sizes: _Sizes, index: int) -> int | None:
    window = sizes.get("sliding_window")
    if not window or config.get("use_sliding_window") is False:
        return None
    if kinds := _list(config, "layer_types"):
        return window if kinds[index % len(kinds)] == "sliding_attention" else None
    if index < (sizes.get("max_window_layers") or 0):
        return None
    kind = config["model_type"]
    usual = architectures.SEES_ALL_EVERY.get(kind)
    every = sizes.get("sliding_window_pattern") or usual
    return None if every and (index + 1) % every == 0 else window


def _list(config: Mapping[str, Any], name: str) -> list[Any]:
    told = config.get(name) or []
    if not isinstance(told, list):
        raise impossible(f"{name} must be a list, not {told!r}", name)
    return told


def _is_tied(config: Mapping[str, Any], kind: str) -> bool | None:
    told = config.get("tie_word_embeddings")
    if told is not None:
        return bool(told)
    return True if kind in architectures.TIED else None
