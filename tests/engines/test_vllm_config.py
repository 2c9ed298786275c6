"""What vLLM is told by a setting is checked before vLLM is asked."""

from pathlib import Path

import pytest

from canteen.core.errors import InvalidRequest
from canteen.engines.vllm_config import OPTIONS, engine_arguments


def test_an_option_that_is_unknown_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidRequest) as caught:
        engine_arguments(Path("model"), 1, 1, {"trust_remote_code": "true"})

    assert all(name in caught.value.message for name in ("trust_remote_code", *OPTIONS))


@pytest.mark.parametrize(
    ("name", "text"),
    [("tensor_parallel_size", "two"), ("max_loras", "0"), ("enforce_eager", "maybe")],
)
def test_an_option_that_cannot_be_read_is_refused(name: str, text: str) -> None:
    with pytest.raises(InvalidRequest, match=f"{name}={text}"):
        engine_arguments(Path("model"), 1, 1, {name: text})
