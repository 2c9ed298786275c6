"""What weights of a type take, and which type each tensor of a mixture gets.

Layouts and rules: docs/methodology/memory.md.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import ceil

from canteen.core.errors import InvalidRequest
from canteen.planning.spec import ModelSpec
from canteen.planning.tensors import EXPERTS, PLAIN, Tensor, tensors

# ggml's types: elements of a block, and its bytes.
GGML: Mapping[str, tuple[int, int]] = {
    "F32": (1, 4), "F16": (1, 2), "BF16": (1, 2),
    "Q8_0": (32, 34), "Q4_0": (32, 18), "Q4_1": (32, 20), "Q5_0": (32, 22), "Q5_1": (32, 24),
    "Q2_K": (256, 84), "Q3_K": (256, 110), "Q4_K": (256, 144), "Q5_K": (256, 176),
    "Q6_K": (256, 210), "Q8_K": (256, 292),
    "IQ4_NL": (32, 18), "IQ4_XS": (256, 136), "IQ3_S": (256, 110), "IQ3_XXS": (256, 98),
    "IQ2_S": (256, 82), "IQ2_XS": (256, 74), "IQ2_XXS": (256, 66),
    "IQ1_M": (256, 56), "IQ1_S": (256, 50), "TQ1_0": (256, 54), "TQ2_0": (256, 66),
    "MXFP4": (32, 17), "NVFP4": (64, 36),
}  # fmt: skip
# Their numbers in a file.
GGML_IDS: Mapping[int, str] = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 10: "Q2_K",
    11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS",
    18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS",
    29: "IQ1_M", 30: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4",
}  # fmt: skip
# Tensors of a GGUF begin at multiples of this.
_ALIGNMENT = 32


@dataclass(frozen=True, slots=True)
class Format:
    """A format of weights. `compute` is the type that arithmetic with it is done in.

    `is_exact` is false where the rest on an average, as group sizes and scales differ by tool.
    """

    name: str
    compute: str
    num_bytes: Callable[[Tensor], float]
    is_exact: bool = True


def weights_format(name: str, spec: ModelSpec) -> Format:
    """A format by its name, whatever its case. Raises InvalidRequest with the nearest names."""
    plain = name.strip().replace("-", "_")
    if (simple := _SIMPLE.get(plain.lower())) is not None:
        return simple
    upper = plain.upper()
    if upper in _MIXTURES:
        mix = Mixture(upper, spec)
        return Format(upper, "bf16", lambda one: ggml_bytes(mix.type_of(one), one))
    if upper in GGML:
        # llama.cpp mixes these too, by rules of their own.
        return Format(upper, "bf16", lambda one: ggml_bytes(_single(upper, one), one), False)
    near = difflib.get_close_matches(upper, [one.upper() for one in NAMES], n=5, cutoff=0.3)
    raise InvalidRequest(
        f"no weight format '{name}' is known; near it: {', '.join(near or sorted(NAMES)[:12])}",
        param="quantization",
    )


def as_stored(name: str) -> Format:
    """That of a file, by the types that its own tensors are of."""
    return Format(name, "bf16", lambda one: ggml_bytes(one.type, one))


def weights_bytes(spec: ModelSpec, form: Format, *, is_tied: bool) -> int:
    """Bytes of all weights in a format, without a file's metadata."""
    counted = sum(form.num_bytes(one) for one in tensors(spec, is_tied=is_tied))
    return round(counted * spec.scale)


def ggml_bytes(type_name: str, tensor: Tensor) -> int:
    """Bytes of a tensor in one of ggml's types, with its padding."""
    block, block_bytes = GGML[type_name]
    size = tensor.copies * tensor.rows * ceil(tensor.cols / block) * block_bytes
    return ceil(size / _ALIGNMENT) * _ALIGNMENT


class Mixture:
    """The types that llama.cpp's quantizer gives the tensors of a model in a mixture like Q4_K_M.

    After src/llama-quant.cpp; not covered are `--pure`, overrides, and others' dynamic mixtures.
    """

    def __init__(self, mixture: str, spec: ModelSpec) -> None:
        self.name = mixture
        self.base = _MIXTURES[mixture]
        self._spec = spec
        self._num_layers = len(spec.layers)
        layer = spec.layers[0]
        self._sharing = layer.num_heads // layer.num_kv_heads
        experts = spec.layers[-1].experts
        self._has_eight = experts is not None and experts.num == 8

    def type_of(self, tensor: Tensor) -> str:
        """Of any tensor."""
        if tensor.kind in PLAIN:
            return "F32"
        if tensor.is_output:
            return self._output(tensor)
        return _fitting(self._of(tensor.kind.removesuffix("_exps"), tensor), tensor)

    def _output(self, tensor: Tensor) -> str:
        """Of the output, or of what is tied to it."""
        if self.base in ("F16", "BF16", "F32"):
            return self.base
        is_whole = tensor.cols % GGML[self.base][0] == 0
        return "Q6_K" if is_whole and self.base != "Q8_0" and tensor.cols % 256 == 0 else "Q8_0"

    def _of(self, kind: str, tensor: Tensor) -> str:
        """Of a matrix of a block, before its columns are looked at."""
        if kind == "attn_v":
            return self._attn_v(tensor.layer)
        if kind == "attn_k" and self._has_eight:
            return "Q8_0"
        if kind == "attn_output":
            return self._attn_output()
        if kind == "ffn_down":
            return self._ffn_down(tensor.layer)
        return self.base

    def _attn_v(self, layer: int) -> str:
        chosen = self._attn_v_alone(layer)
        if self._num_layers == 80 and self._sharing > 1 and chosen in ("Q3_K", "Q4_K"):
            return "Q5_K"
        return "Q8_0" if self._has_eight else chosen

    def _attn_v_alone(self, layer: int) -> str:
        first = {"Q3_K_M": ("Q5_K", 2, "Q4_K"), "Q4_K_S": ("Q5_K", 4, self.base)}.get(self.name)
        if first is not None:
            early, until, late = first
            return early if layer < until else late
        if self.name in ("Q4_K_M", "Q5_K_M"):
            return "Q6_K" if self._gets_more(layer) else self.base
        if self.name == "Q2_K":
            return "Q4_K" if self._sharing >= 4 else "Q3_K"
        if self.name == "Q2_K_S":
            return "Q4_K" if self._sharing >= 4 else self.base
        return "Q5_K" if self.name == "Q3_K_L" else self.base

    def _attn_output(self) -> str:
        if self._has_eight:
            special = {"Q2_K", "Q3_K_S", "Q3_K_M", "Q4_K_S", "Q4_K_M"}
            return "Q5_K" if self.name in special else self.base
        return {"Q3_K_M": "Q4_K", "Q3_K_L": "Q5_K", "Q2_K": "Q3_K"}.get(self.name, self.base)

    def _ffn_down(self, layer: int) -> str:
        num = self._num_layers
        if self.name in ("Q4_K_M", "Q5_K_M"):
            return "Q6_K" if self._gets_more(layer) else self.base
        if self.name == "Q3_K_M":
            return "Q5_K" if layer < num // 16 else "Q4_K"
        early = {"Q4_K_S": "Q5_K", "Q2_K_S": "Q4_K"}.get(self.name)
        if early is not None:
            return early if layer < num // 8 else self.base
        return {"Q3_K_L": "Q5_K", "Q2_K": "Q3_K"}.get(self.name, self.base)

    def _gets_more(self, layer: int) -> bool:
        num = self._num_layers
        return layer < num // 8 or layer >= 7 * num // 8 or (layer - num // 8) % 3 == 2


_MIXTURES: Mapping[str, str] = {
    "Q2_K": "Q2_K", "Q2_K_S": "Q2_K", "Q3_K_S": "Q3_K", "Q3_K_M": "Q3_K", "Q3_K_L": "Q3_K",
    "Q4_K_S": "Q4_K", "Q4_K_M": "Q4_K", "Q5_K_S": "Q5_K", "Q5_K_M": "Q5_K", "Q6_K": "Q6_K",
    "Q8_0": "Q8_0", "Q4_0": "Q4_0", "Q4_1": "Q4_1", "Q5_0": "Q5_0", "Q5_1": "Q5_1",
    "F16": "F16", "BF16": "BF16", "F32": "F32",
}  # fmt: skip
_FALLBACKS = {"Q2_K": "Q4_0", "Q3_K": "Q4_0", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}


def _fitting(type_name: str, tensor: Tensor) -> str:
    """What llama.cpp takes instead where the columns are no whole blocks."""
    if tensor.cols % GGML[type_name][0] == 0:
        return type_name
    instead = _FALLBACKS.get(type_name, "IQ4_NL" if type_name.startswith(("IQ", "TQ")) else "F16")
    return instead if tensor.cols % GGML[instead][0] == 0 else "F16"


def _single(type_name: str, tensor: Tensor) -> str:
    """A single type for all matrices; vectors stay as they are."""
    return "F32" if tensor.kind in PLAIN else _fitting(type_name, tensor)


def _sixteen(bits_per_weight: float) -> Callable[[Tensor], float]:
    """So many bits in linear layers, and 16 in embeddings, output and vectors."""

    def num_bytes(tensor: Tensor) -> float:
        is_linear = tensor.kind not in PLAIN and tensor.kind not in ("token_embd", "output")
        return tensor.num_parameters * (bits_per_weight if is_linear else 16) / 8

    return num_bytes


def _per_channel(tensor: Tensor) -> float:
    """int8 with a 16-bit scale for each output, embeddings too, as OpenVINO's IR has them."""
    if tensor.kind in PLAIN:
        return 2.0 * tensor.num_parameters
    return tensor.num_parameters + 2.0 * tensor.rows * tensor.copies


def _experts_only(tensor: Tensor) -> float:
    """gpt-oss's mixture: its experts in 4 bits, all other matrices in 8."""
    if tensor.kind in PLAIN:
        return ggml_bytes("F32", tensor)
    return ggml_bytes("MXFP4" if tensor.kind in EXPERTS else "Q8_0", tensor)


def _formats(formats: Iterable[Format]) -> Mapping[str, Format]:
    return {one.name.lower(): one for one in formats}


_SIMPLE = _formats(
    (
        Format("bf16", "bf16", lambda one: 2.0 * one.num_parameters),
        Format("f32", "fp32", lambda one: 4.0 * one.num_parameters),
        # Scales are of tensors, channels or blocks, by tool: at most a hundredth more.
        Format("fp8", "fp8", _sixteen(8.0), is_exact=False),
        Format("int8", "int8", _per_channel),
        Format("gptq", "bf16", _sixteen(4.15), is_exact=False),
        Format("awq", "bf16", _sixteen(4.25), is_exact=False),
        Format("int4", "bf16", _sixteen(4.25), is_exact=False),
        # Groups of 128 have a scale of 16 bits and a zero of their own.
        *(
            Format(f"gptq_{bits}bit", "bf16", _sixteen(bits + (16 + bits) / 128), is_exact=False)
            for bits in (2, 3, 8)
        ),
        Format("bnb_8bit", "int8", _sixteen(8.0), is_exact=False),
        Format("nf4", "bf16", _sixteen(4.5)),
        Format("nf4_dq", "bf16", _sixteen(4.127)),
        Format("mxfp4_moe", "bf16", _experts_only),
    )
)
NAMES = tuple(_SIMPLE) + tuple(
    name for name in {**_MIXTURES, **GGML} if name.lower() not in _SIMPLE
)
