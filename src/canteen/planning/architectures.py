"""What model types are known for, and which shapes the planner does not know how to count."""

from collections.abc import Mapping
from typing import Any

from canteen.core.errors import InvalidRequest

UNGATED = frozenset(
    {"gpt2", "bert", "opt", "gpt_neox", "gpt3", "phi", "starcoder2", "nemotron", "gptj"}
)
POSITIONED = frozenset({"gpt2", "gpt3", "bert", "opt"})
ENCODERS = frozenset({"bert", "nomic-bert", "roberta", "xlm-roberta"})
BIASED_ATTENTION = frozenset({"qwen2", "qwen2_moe", "qwen2moe"})
QK_NORMED = frozenset(
    {"qwen3", "qwen3_moe", "qwen3moe", "gemma3", "gemma3_text", "gemma-embedding"}
)
TIED = frozenset({"gpt2", "gpt3", "gemma", "gemma2", "gemma3", "gemma3_text", "bert", "opt"})
# Each so many layers one sees everything, the others a window; headers do not say it.
SEES_ALL_EVERY: Mapping[str, int] = {
    "gemma2": 2,
    "gemma3": 6,
    "gemma3_text": 6,
    "gpt_oss": 2,
    "gpt-oss": 2,
    "cohere2": 4,
}
# Their tensors come out as they are published, by the names of config.json and of GGUF.
_COUNTED = frozenset(
    {
        "llama", "mistral", "mixtral", "qwen2", "qwen3", "qwen3_moe", "qwen3moe", "gemma", "gemma2",
        "gemma3", "gemma3_text", "gpt2", "gpt3", "phi3", "deepseek_v3", "deepseek2",
    }
)  # fmt: skip
# Their experts are told by fields that are known, but for gates and biases of some bytes.
_MIXED = frozenset(
    {
        "qwen2_moe", "qwen2moe", "deepseek_v2", "kimi_k2", "glm4_moe", "olmoe", "granitemoe",
        "gpt_oss", "gpt-oss",
    }
)  # fmt: skip
_LAYERS = frozenset({"full_attention", "sliding_attention", "attention"})
# Fields of layers that are no attention, that share a cache, or that are of several kinds.
_STRANGE = (
    "mamba", "ssm", "linear_", "rwkv", "wkv", "conv_L", "shortconv", "lru_", "altup", "attn_layer_",
    "attention.shared_kv", "block_configs", "expert_layer_",
    "attention_chunk_size", "attn_type_list", "block_types", "cla_share_factor",
    "full_attention_interval", "hybrid_", "interleave_moe_layer_step", "layers_block_type",
    "num_kv_shared_layers", "state_size", "time_",
)  # fmt: skip


def check(config: Mapping[str, Any]) -> None:
    """Raises InvalidRequest for a configuration whose layers are not all attention with a
    feed-forward, or are told in fields that are not known: better no number than a wrong one."""
    kind = config["model_type"]
    if found := _strange(config):
        raise InvalidRequest(
            f"a '{kind}' model has {found}, which no plan can count; plan one like it by its "
            "number of parameters, such as 7B",
            param="model",
        )
    if _has_experts(config) and kind not in _COUNTED | _MIXED:
        raise InvalidRequest(
            f"it is not known how a '{kind}' model places its experts; plan one like it by its "
            "number of parameters, such as 7B",
            param="model",
        )


def assumption(config: Mapping[str, Any]) -> str:
    """What of the shape is a guess, in words; empty for an architecture that is counted exactly."""
    kind = config["model_type"]
    if "vision_config" in config or "audio_config" in config:
        return "only the text model is planned; encoders of images or sounds come on top"
    if kind in _COUNTED:
        return ""
    if kind in UNGATED | ENCODERS | _MIXED:
        return f"of a '{kind}' model some small tensors are not counted"
    told = f"the model type '{kind}' is not known" if kind else "no model type is told"
    return f"{told}; it is planned as a dense decoder like llama"


def _has_experts(config: Mapping[str, Any]) -> bool:
    return any("expert" in key and value for key, value in config.items()) or bool(
        config.get("moe_layer_freq")
    )


def _strange(config: Mapping[str, Any]) -> str:
    """A field that says that layers are of another kind; empty where there is none."""
    if config.get("is_encoder_decoder"):
        return "an encoder beside its decoder"
    kinds = config.get("layer_types")
    others = {str(one) for one in kinds} - _LAYERS if isinstance(kinds, list) else ()
    if others:
        return f"layers of {', '.join(sorted(others))}"
    if config.get("multi_query") or config.get("multi_query_attention"):
        return "heads of keys that its configuration tells in a way of its own"
    if config.get("moe_layer_freq", 1) not in (1, None):
        return "experts in some layers by moe_layer_freq"
    told = (key for key, value in config.items() if key.startswith(_STRANGE) and value)
    return next(told, "")
