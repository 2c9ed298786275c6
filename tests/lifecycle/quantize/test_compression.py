"""What is said where a format cannot be made."""

import pytest

from canteen.lifecycle.quantize.compression import refusal
from canteen.lifecycle.quantize.formats import FORMATS


@pytest.mark.parametrize("cause", [MemoryError(), RuntimeError("std::bad_alloc")])
def test_too_little_memory_is_told_as_that(cause: Exception) -> None:
    told = refusal(FORMATS["int4-awq"], cause)

    assert told.code == "not_enough_memory"
    assert "too little memory" in told.message


def test_weights_that_do_not_fit_a_format_are_told_with_the_others() -> None:
    told = refusal(FORMATS["nf4"], ValueError("of nncf's"))

    assert told.code == "model_unsuitable"
    assert "cannot be brought into nf4; choose another format: int8," in told.message
    assert "of nncf's" not in told.message
