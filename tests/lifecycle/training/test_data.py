"""What can be learned from is checked to the last line before anything begins."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.errors import InvalidRequest
from canteen.lifecycle.training import data

MOODS = [
    {"text": f"number {number} is {label}", "label": label}
    for number in range(40)
    for label in ("good", "bad")
]


def written(folder: Path, lines: Sequence[Any]) -> Path:
    path = folder / "data.jsonl"
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines))
    return path


def test_every_broken_line_is_told_with_its_number(tmp_path: Path) -> None:
    lines = [*MOODS[:4], "{", '"text"', {"text": "a"}, {"text": " ", "label": "good"}, "", {"x": 1}]
    lines += [{"messages": [{"role": "user", "content": "hi"}]}, {"prompt": "hi"}]

    with pytest.raises(InvalidRequest) as raised:
        data.read(written(tmp_path, lines))

    said = raised.value.message
    for number, what in {
        5: "is not JSON",
        6: "is no object",
        7: "has no label",
        8: "has no text",
        10: "has none of the fields",
        11: "has a chat of fewer than two messages",
        12: "has no completion",
    }.items():
        assert f"line {number} {what}" in said


def test_of_many_broken_lines_the_first_are_told_why_and_all_where(tmp_path: Path) -> None:
    lines = [*["{"] * 50, json.dumps(MOODS[0]), *["{"] * 3]

    with pytest.raises(InvalidRequest, match=r"and the lines 21-50, 52-54\.") as refused:
        data.read(written(tmp_path, lines))

    assert refused.value.message.count("is not JSON") == 20


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_a_line_ends_where_json_says_so(tmp_path: Path, mark: str) -> None:
    lines = [{**MOODS[0], "text": f"one{mark}two"}, *MOODS[1:4]]
    path = tmp_path / "data.jsonl"
    told = "\r\n".join(json.dumps(one, ensure_ascii=mark < " ") for one in lines)
    path.write_bytes(b"\xef\xbb\xbf" + told.encode())

    (first, *_) = examples = data.read(path)

    assert (first.text, len(examples)) == (f"one{mark}two", 4)


def test_a_sample_that_loses_a_class_is_refused(tmp_path: Path) -> None:
    rare = [{"text": f"odd {number}", "label": "odd"} for number in range(2)]
    pairs = [(one["text"], one["label"]) for one in [*MOODS, *rare]]

    with pytest.raises(InvalidRequest, match="class 'odd' has 0 of the 10") as refused:
        data.read(written(tmp_path, [*MOODS, *rare]), 10)
    with pytest.raises(InvalidRequest, match="class 'odd' has 0 of the 10"):
        data.labelled(pairs, 10)

    assert refused.value.param == "max_examples"


def test_built_in_classes_are_checked_too() -> None:
    with pytest.raises(InvalidRequest, match="'b' has 1 of the 3"):
        data.labelled([("one", "a"), ("two", "a"), ("three", "b")])


def test_tokens_are_foreseen_of_the_whole_chat() -> None:
    chat = {"messages": [{"role": "user", "content": "a" * 35}] * 2, "completion": "b" * 35}

    assert data.num_tokens([chat] * 4) == 4 * (30 + 15)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            [*MOODS, {"prompt": "a", "completion": "b"}, {"text": "a"}],
            "line 81 is of the kind instruction, and most lines are of classification; "
            "line 82 has no label",
        ),
        (MOODS[::2], "one class"),
        ([*MOODS, {"text": "a", "label": "ugly"}], "'ugly' has 1 of the 81"),
        (MOODS[:3][:0], "0 examples"),
        ([*MOODS, {**MOODS[0], "label": "bad"}], "line 81 says 'bad' of the text of line 1"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(
    tmp_path: Path, lines: Sequence[Any], said: str
) -> None:
    with pytest.raises(InvalidRequest, match=said):
        data.read(written(tmp_path, lines))


def test_chats_and_instructions_are_read(tmp_path: Path) -> None:
    chat = {
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "ho"},
        ]
    }
    instruction = {"instruction": "add", "input": "1 and 1", "output": "2"}

    (first, *_) = data.read(written(tmp_path, [chat] * 4))
    (second, *_) = data.read(written(tmp_path, [instruction] * 4))

    told = {"messages": chat["messages"][:2], "completion": "ho", "learn": "all"}
    assert first.chat() == told
    asked = [{"role": "user", "content": "add\n\n1 and 1"}]
    assert second.chat() == {"messages": asked, "completion": "2"}


@given(st.integers(0, 1000), st.randoms(use_true_random=False))
def test_the_split_does_not_depend_on_the_order(seed: int, by: random.Random) -> None:
    examples = data.labelled([(one["text"], one["label"]) for one in MOODS])
    turned = list(examples)
    by.shuffle(turned)

    one, other = data.split(examples, 0.3, seed), data.split(turned, 0.3, seed)

    for part in ("train", "validation"):
        assert {example.key for example in one[part]} == {example.key for example in other[part]}
    assert data.digest(examples) == data.digest(turned)


def test_the_same_question_is_never_in_both_parts(tmp_path: Path) -> None:
    lines = [{"prompt": f"what is {n % 10}", "completion": f"it is {n}"} for n in range(60)]

    parts = data.split(data.read(written(tmp_path, lines)), 0.3, 0)

    keys = [{example.key for example in part} for part in parts.values()]
    assert keys[0] & keys[1] == set()
    assert sum(map(len, parts.values())) == 60


def test_a_part_without_examples_is_refused() -> None:
    examples = data.labelled([(one["text"], one["label"]) for one in MOODS[:4]])

    with pytest.raises(InvalidRequest, match="validation_share"):
        data.split(examples, 0.001, 0)


def test_a_sample_holds_the_same_examples_in_whatever_order() -> None:
    pairs = [(one["text"], one["label"]) for one in MOODS]

    one, other = data.labelled(pairs, 10), data.labelled(pairs[::-1], 10)

    assert {example.text for example in one} == {example.text for example in other}
    assert len(one) == 10


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(b"\xff\xfe\xff")

    with pytest.raises(InvalidRequest, match=r"data\.jsonl is not UTF-8"):
        data.read(path)
