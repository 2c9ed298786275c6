"""How many layers of a model a GPU holds, where it does not hold all. Formulas:
docs/methodology/memory.md."""

from canteen.planning.memory import ENGINES, MARGIN, Sequences, Weights, plan_memory
from canteen.planning.spec import ModelSpec

# Beside the weights: the context of CUDA, as for an engine of unknown kind.
CONTEXT_BYTES = ENGINES["unknown"].overhead_bytes


def layers_on_gpu(spec: ModelSpec, weights: Weights, sequences: Sequences, free_bytes: int) -> int:
    """Layers of a model, in llama.cpp's count (the last one is the output), that so many free
    bytes hold with their part of the cache. A layer is taken for an equal share of both."""
    held = plan_memory(spec, weights, sequences, ENGINES["llamacpp"], free_bytes)
    num_all = len(spec.layers) + 1
    layer_bytes = (held.weights_bytes + held.kv_total_bytes) / num_all
    fixed_bytes = held.compute_bytes + held.overhead_bytes + CONTEXT_BYTES
    room_bytes = free_bytes / (1 + MARGIN) - fixed_bytes
    return max(0, min(num_all, int(room_bytes / layer_bytes)))
