"""Whether a model fits: with its arithmetic, monotone, and honest about its margin."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from canteen.planning.assumed import from_count
from canteen.planning.config import from_config
from canteen.planning.memory import ENGINES, MARGIN, MemoryPlan, Sequences, plan_memory, weights_of
from canteen.planning.quantization import weights_format
from tests.planning.shapes import LLAMA_3_8B

LLAMA = from_config(LLAMA_3_8B)
WEIGHTS = weights_of(LLAMA, weights_format("Q4_K_M", LLAMA))
H100_BYTES = 80_000_000_000


def plan(context: int = 8192, num: int = 1, available: int | None = H100_BYTES) -> MemoryPlan:
    return plan_memory(LLAMA, WEIGHTS, Sequences(context, num), available_bytes=available)


def test_the_parts_are_the_whole() -> None:
    made = plan(num=4)

    assert made.total_bytes == (
        made.weights_bytes + made.kv_total_bytes + made.compute_bytes + made.overhead_bytes
    )
    assert made.headroom_bytes == H100_BYTES - made.total_bytes


def test_as_many_sequences_fit_as_are_said_to() -> None:
    most = plan().max_sequences
    assert most is not None

    assert plan(num=most).fits in ("yes", "within margin")
    assert plan(num=most + 1).fits == "no"


def test_close_to_the_limit_it_says_so() -> None:
    total = plan().total_bytes

    assert plan(available=total - 1).fits == "no"
    assert plan(available=total).fits == "within margin"
    assert plan(available=int(total * (1 + MARGIN)) + 1).fits == "yes"


def test_without_a_device_there_is_no_verdict() -> None:
    made = plan(available=None)

    assert (made.fits, made.max_sequences, made.headroom_bytes) == (None, None, None)


def test_an_engine_that_leaves_memory_alone_has_less() -> None:
    made = plan_memory(LLAMA, WEIGHTS, Sequences(8192), ENGINES["vllm"], H100_BYTES)

    assert made.available_bytes == H100_BYTES * 0.9


def test_where_tying_is_not_known_the_weights_are_a_range() -> None:
    unknown = replace(LLAMA, is_tied=None)
    weights = weights_of(unknown, weights_format("Q8_0", unknown))

    assert weights.low_bytes < weights.num_bytes
    assert not weights.is_exact


def test_an_assumed_shape_is_not_exact() -> None:
    spec = from_count(7e9)

    assert not weights_of(spec, weights_format("Q8_0", spec)).is_exact


@given(st.integers(1, 131072), st.integers(1, 131072), st.integers(1, 500), st.integers(1, 500))
def test_more_context_and_more_sequences_never_take_less(
    context: int, other_context: int, num: int, other_num: int
) -> None:
    low, high = sorted((context, other_context))
    few, many = sorted((num, other_num))

    assert plan(low, few).total_bytes <= plan(high, many).total_bytes
