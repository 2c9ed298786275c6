"""Whether a model fits, and how many sequences of it. Formulas: docs/methodology/memory.md."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from canteen.core.errors import InvalidRequest
from canteen.planning import kv, quantization
from canteen.planning.spec import ModelSpec

GB = 1_000_000_000
MIB = 1 << 20
Fits = Literal["yes", "within margin", "no"]
# Memory is lost to fragmentation: a total this close to what there is may or may not fit.
MARGIN = 0.05


@dataclass(frozen=True, slots=True)
class Weights:
    """Bytes of the weights, and how they are known. `low_bytes` differs where it is not known
    whether the output is tied to the input embedding."""

    num_bytes: int
    low_bytes: int
    told: str
    is_exact: bool = True


@dataclass(frozen=True, slots=True)
class EngineMemory:
    """What an engine takes beside weights and cache; `told` says how that is known.

    `block` is the tokens its cache is given out in, `usable` the share of a device it may take,
    `weights_copied` what it keeps of the weights a second time.
    """

    name: str
    block: int
    overhead_bytes: int
    ubatch: int
    told: str
    usable: float = 1.0
    weights_copied: float = 0.0


ENGINES: Mapping[str, EngineMemory] = {
    "openvino": EngineMemory(
        "openvino",
        block=32,
        overhead_bytes=250_000_000,
        ubatch=0,
        weights_copied=0.5,
        told="measured on smollm2:135m: 465 MB just loaded, 140 MB of it weights; that half of "
        "the weights are copied is an assumption",
    ),
    "openvino-embedder": EngineMemory(
        "openvino-embedder",
        block=1,
        overhead_bytes=75_000_000,
        ubatch=0,
        told="measured on all-minilm: 121 MB just loaded, 46 MB of it weights",
    ),
    "llamacpp": EngineMemory(
        "llamacpp",
        block=1,
        overhead_bytes=9 * MIB,
        ubatch=512,
        told="llama.cpp's compute buffer for a batch of 512, and 9 MiB of its own",
    ),
    "vllm": EngineMemory(
        "vllm",
        block=16,
        overhead_bytes=450_000_000,
        ubatch=2048,
        told="assumption: 0.45 GB of CUDA context; vLLM measures the rest by a dummy run",
        usable=0.9,
    ),
    "unknown": EngineMemory(
        "unknown",
        block=16,
        overhead_bytes=450_000_000,
        ubatch=512,
        told="assumption: 0.45 GB for the runtime and a batch of 512 tokens",
    ),
}


@dataclass(frozen=True, slots=True)
class Sequences:
    """What is to be held at once: so many sequences of a context, in a cache of a type."""

    context: int
    num: int = 1
    kv_type: str = "f16"

    def __post_init__(self) -> None:
        if self.context < 1 or self.num < 1:
            raise InvalidRequest(
                "a plan has a token of context and a sequence at least", param="context_length"
            )


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """Bytes that a model takes. `available_bytes` is None where no device is asked about; then
    `fits`, `max_sequences` and `headroom_bytes` are None too."""

    weights: Weights
    engine: EngineMemory
    sequences: Sequences
    kv_bytes_per_token: int
    kv_bytes_per_sequence: int
    compute_bytes: int
    overhead_bytes: int
    available_bytes: int | None

    @property
    def weights_bytes(self) -> int:
        """The weights alone."""
        return self.weights.num_bytes

    @property
    def kv_total_bytes(self) -> int:
        """The cache of all sequences."""
        return self.kv_bytes_per_sequence * self.sequences.num

    @property
    def without_kv_bytes(self) -> int:
        """All but the cache."""
        return self.weights_bytes + self.compute_bytes + self.overhead_bytes

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.without_kv_bytes + self.kv_total_bytes

    @property
    def fits(self) -> Fits | None:
        """Whether it fits what there is."""
        return fitting(self.total_bytes, self.available_bytes)

    @property
    def headroom_bytes(self) -> int | None:
        """What is left over; negative where it is missing."""
        return None if self.available_bytes is None else self.available_bytes - self.total_bytes

    @property
    def max_sequences(self) -> int | None:
        """How many sequences of this context what there is can hold; None for a model without
        a cache."""
        if self.available_bytes is None or not self.kv_bytes_per_sequence:
            return None
        return max(0, (self.available_bytes - self.without_kv_bytes) // self.kv_bytes_per_sequence)


def fitting(total_bytes: int, available_bytes: int | None) -> Fits | None:
    """Whether so much fits what there is; None where that is not known."""
    if available_bytes is None:
        return None
    if total_bytes > available_bytes:
        return "no"
    return "yes" if total_bytes * (1 + MARGIN) <= available_bytes else "within margin"


def engine_for(kind: str, spec: ModelSpec, form: quantization.Format) -> EngineMemory:
    """The engine that would run a model in a format on a device of that kind."""
    is_ggml = form.name.upper() == form.name
    if is_ggml:
        return ENGINES["llamacpp"]
    if kind != "cpu":
        return ENGINES["vllm"]
    if form.name not in ("int8", "bf16"):
        return ENGINES["unknown"]
    return ENGINES["openvino" if spec.has_cache else "openvino-embedder"]


def weights_of(spec: ModelSpec, form: quantization.Format) -> Weights:
    """The weights of a shape in a format."""
    low = quantization.weights_bytes(spec, form, is_tied=spec.is_tied is not False)
    high = quantization.weights_bytes(spec, form, is_tied=bool(spec.is_tied))
    is_exact = form.is_exact and not spec.assumed and spec.is_tied is not None
    return Weights(high, low, f"tensors in {form.name}", is_exact)


def plan_memory(
    spec: ModelSpec,
    weights: Weights,
    sequences: Sequences,
    engine: EngineMemory = ENGINES["unknown"],
    available_bytes: int | None = None,
) -> MemoryPlan:
    """The memory of a model that serves. Raises InvalidRequest for a context beyond the model's."""
    context, kv_type = sequences.context, sequences.kv_type
    copied_bytes = round(engine.weights_copied * weights.num_bytes)
    return MemoryPlan(
        weights=weights,
        engine=engine,
        sequences=sequences,
        kv_bytes_per_token=kv.bytes_per_token(spec, kv_type),
        kv_bytes_per_sequence=kv.bytes_per_sequence(spec, kv_type, context, engine.block),
        compute_bytes=4 * engine.ubatch * (spec.vocab_size + spec.hidden_size),
        overhead_bytes=engine.overhead_bytes + copied_bytes,
        available_bytes=None if available_bytes is None else int(available_bytes * engine.usable),
    )


def at_load(engine: EngineMemory, weights_bytes: int) -> int:
    """Bytes of a model that has just been loaded, and holds no sequence yet."""
    return round(weights_bytes * (1 + engine.weights_copied)) + engine.overhead_bytes


def arithmetic(held: MemoryPlan) -> list[str]:
    """The sum line by line, for who is told that it does not fit."""
    return [
        f"weights {held.weights_bytes / GB:.2f} GB ({held.weights.told})",
        f"KV cache {held.kv_total_bytes / GB:.2f} GB ({held.sequences.num} sequences of "
        f"{held.sequences.context:,} tokens, {held.kv_bytes_per_token:,} B a token)",
        f"buffers {held.compute_bytes / GB:.2f} GB, runtime {held.overhead_bytes / GB:.2f} GB "
        f"({held.engine.told})",
        f"together {held.total_bytes / GB:.2f} GB",
    ]
