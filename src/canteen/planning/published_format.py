"""The format that a config.json says its weights are in."""

from collections.abc import Mapping
from typing import Any

_DTYPES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
_MXFP4 = "mxfp4_moe"
_OF_METHOD = {"fp8": "fp8", "fbgemm_fp8": "fp8", "mxfp4": _MXFP4}


def published_format(config: Mapping[str, Any]) -> str:
    """A name for `weights_format`. A quantization that is not known keeps its own name, so that a
    plan refuses it unless another format is asked for."""
    told = config.get("quantization_config")
    if isinstance(told, Mapping) and told:
        return _quantized(told)
    dtype = str(config.get("torch_dtype", config.get("dtype", "bfloat16")))
    return _DTYPES.get(dtype.removeprefix("torch."), "bf16")


def _quantized(told: Mapping[str, Any]) -> str:
    method = str(told.get("quant_method", "unknown")).lower()
    if method in ("gptq", "awq"):
        return _integers(method, told.get("bits", told.get("w_bit", 4)))
    if method.startswith("bitsandbytes"):
        return _bitsandbytes(told)
    if method == "compressed-tensors":
        return _compressed(told)
    if method == "modelopt":
        method = str(told.get("quant_algo", method)).lower()
    return _OF_METHOD.get(method, method)


def _integers(method: str, bits: Any) -> str:
    return method if bits == 4 else f"{method}_{bits}bit"


def _bitsandbytes(told: Mapping[str, Any]) -> str:
    if told.get("load_in_8bit"):
        return "bnb_8bit"
    is_double = told.get("bnb_4bit_use_double_quant")
    if told.get("bnb_4bit_quant_type", "nf4") not in ("nf4", "fp4"):
        return str(told["bnb_4bit_quant_type"])
    return "nf4_dq" if is_double else "nf4"


def _compressed(told: Mapping[str, Any]) -> str:
    """By the first of its groups, whose scheme is that of the linear layers."""
    groups = told.get("config_groups")
    group: Any = next(iter(groups.values()), None) if isinstance(groups, Mapping) else None
    weights = group.get("weights") if isinstance(group, Mapping) else None
    if not isinstance(weights, Mapping):
        return "compressed-tensors"
    bits = weights.get("num_bits")
    if weights.get("type") == "float":
        return "fp8" if bits == 8 else f"compressed-tensors, float of {bits} bits"
    return "bnb_8bit" if bits == 8 else _integers("gptq", bits)
