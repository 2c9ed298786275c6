"""What training takes of each device. Formulas: docs/methodology/memory.md."""

from dataclasses import dataclass
from typing import Literal

from canteen.core.errors import InvalidRequest
from canteen.planning.quantization import weights_bytes, weights_format
from canteen.planning.spec import ModelSpec
from canteen.planning.tensors import LOOKED_UP, PLAIN, num_parameters, tensors

Method = Literal["full", "lora", "qlora"]
Recompute = Literal["none", "selective", "full"]
Frozen = Literal["bf16", "f32"]

# Bytes of a parameter with mixed-precision Adam: of 16-bit weights, of their gradients, and of
# float32 master weights and both moments.
_WEIGHT, _GRADIENT, _OPTIMIZER = 2, 2, 12
# Assumptions: 0.3 to 0.6 GB of CUDA context, and NCCL's buffers where devices exchange gradients.
_CONTEXT_BYTES, _EXCHANGE_BYTES = 450_000_000, 1_000_000_000


@dataclass(frozen=True, slots=True)
class TrainingMemory:
    """Bytes of one device. `trained_parameters` are those that change."""

    trained_parameters: int
    frozen_bytes: int
    weights_bytes: int
    gradients_bytes: int
    optimizer_bytes: int
    activations_bytes: int
    overhead_bytes: int

    @property
    def states_bytes(self) -> int:
        """All but the activations and the runtime."""
        trained = self.weights_bytes + self.gradients_bytes + self.optimizer_bytes
        return self.frozen_bytes + trained

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.states_bytes + self.activations_bytes + self.overhead_bytes


@dataclass(frozen=True, slots=True)
class Setup:
    """How a model is trained: data-parallel on `num_devices` with a ZeRO stage, which splits the
    optimizer's states (1), the gradients too (2), and the weights too (3), frozen ones among them.
    `frozen` is what LoRA's base is held in.

    Raises InvalidRequest for counts that are none.
    """

    method: Method = "full"
    num_devices: int = 1
    zero: int = 0
    lora_rank: int = 16
    sequence_length: int = 2048
    micro_batch: int = 1
    recompute: Recompute = "selective"
    frozen: Frozen = "bf16"

    def __post_init__(self) -> None:
        if min(self.num_devices, self.lora_rank, self.sequence_length, self.micro_batch) < 1:
            raise InvalidRequest(
                "training has a device, a rank, a token and a sequence at least", param="devices"
            )
        if not 0 <= self.zero <= 3:
            raise InvalidRequest("ZeRO has the stages 0 to 3", param="zero")

    def part(self, stage: int) -> float:
        """The share that one device holds of what is split from this stage on."""
        return 1 / self.num_devices if self.zero >= stage else 1.0


def training_memory(spec: ModelSpec, setup: Setup) -> TrainingMemory:
    """Memory of each device."""
    trained, frozen_bytes = num_parameters(spec), 0
    if setup.method != "full":
        trained = lora_parameters(spec, setup.lora_rank)
        form = weights_format("nf4_dq" if setup.method == "qlora" else setup.frozen, spec)
        frozen_bytes = weights_bytes(spec, form, is_tied=bool(spec.is_tied))
    return TrainingMemory(
        trained_parameters=trained,
        frozen_bytes=round(frozen_bytes * setup.part(3)),
        weights_bytes=round(_WEIGHT * trained * setup.part(3)),
        gradients_bytes=round(_GRADIENT * trained * setup.part(2)),
        optimizer_bytes=round(_OPTIMIZER * trained * setup.part(1)),
        activations_bytes=activations_bytes(
            spec, setup.sequence_length, setup.micro_batch, setup.recompute
        ),
        overhead_bytes=_CONTEXT_BYTES + (_EXCHANGE_BYTES if setup.num_devices > 1 else 0),
    )


def lora_parameters(spec: ModelSpec, rank: int) -> int:
    """Parameters of LoRA on all linear layers: rank times inputs and outputs of each."""
    linear = (
        one
        for one in tensors(spec, is_tied=True)
        if one.kind not in PLAIN and one.kind not in LOOKED_UP
    )
    return round(spec.scale * sum(rank * (one.rows + one.cols) * one.copies for one in linear))


def activations_bytes(
    spec: ModelSpec, sequence_length: int, micro_batch: int, recompute: Recompute
) -> int:
    """Activations of a micro-batch, after Korthikanti et al. 2022; within a fifth for other
    feed-forwards than theirs."""
    per_layer = sequence_length * micro_batch * spec.hidden_size
    if recompute == "full":
        return 2 * len(spec.layers) * per_layer
    if recompute == "selective":
        return 34 * len(spec.layers) * per_layer
    heads = sum(layer.num_heads for layer in spec.layers)
    return per_layer * 34 * len(spec.layers) + 5 * heads * sequence_length**2 * micro_batch
