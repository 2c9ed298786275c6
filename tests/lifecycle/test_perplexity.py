"""Perplexity on the shipped text."""

import numpy as np
import openvino
import pytest
from openvino import opset13 as ops

from canteen.lifecycle.perplexity import EXACT, perplexity, quality_text, windows


def knows_nothing(vocab_size: int, favourite: int = 0, lead: float = 0.0) -> openvino.Model:
    """A model whose logits are 0, but for one token's lead, whatever it reads."""
    names = ("input_ids", "attention_mask", "position_ids", "beam_idx")
    inputs = [ops.parameter([-1, -1], np.int64) for _ in names[:3]]
    inputs.append(ops.parameter([-1], np.int32))
    for name, node in zip(names, inputs, strict=True):
        node.output(0).set_names({name})
    row = np.zeros((1, 1, vocab_size), np.float32)
    row[0, 0, favourite] = lead
    shape = ops.concat([ops.shape_of(inputs[0]), ops.constant(np.array([vocab_size], np.int64))], 0)
    logits = ops.broadcast(ops.constant(row), shape)
    logits.output(0).set_names({"logits"})
    return openvino.Model([logits], inputs, "knows nothing")


def test_a_model_that_knows_nothing_is_as_perplexed_as_its_vocabulary_is_large() -> None:
    model = knows_nothing(vocab_size=50)

    assert perplexity(model, [[1, 2, 3, 4] * 40], EXACT) == pytest.approx(50, rel=1e-5)


def test_only_the_second_half_of_a_window_counts() -> None:
    model = knows_nothing(vocab_size=10, favourite=7, lead=100.0)

    assert perplexity(model, [[1, 1, 1, 7, 7, 7]], EXACT) == pytest.approx(1, rel=1e-5)


def test_windows_are_whole_and_begin_as_prompts_do() -> None:
    tokens = list(range(10_000))

    plain, marked = windows(tokens), windows(tokens, bos_token_id=-1)

    assert [len(window) for window in plain] == [512] * 12
    assert plain[1][0] == 512
    assert [window[:2] for window in marked[:2]] == [[-1, 0], [-1, 511]]
    assert {len(window) for window in marked} == {512}


def test_the_text_is_long_enough_for_every_window_and_small_enough_to_ship() -> None:
    text = quality_text()

    # English prose has at least four characters a token.
    assert 12 * 512 * 6 < len(text) < 60_000
