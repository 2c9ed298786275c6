"""Chats become tokens as the engine reads them, and only answers are learnt."""

import copy
from typing import Any

import pytest

from canteen.core.errors import InvalidRequest, ModelUnsuitable
from canteen.lifecycle.gguf_source import GgufSource
from canteen.lifecycle.training import chats, finetune, weights
from canteen.lifecycle.training.batches import NO_LOSS
from tests.lifecycle.tiny_model import CHATML, TinyModel

QUESTION = {"role": "user", "content": "the th"}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> chats.Reader:
    path = TinyModel("llama", template=CHATML).write(tmp_path_factory.mktemp("tiny") / "m.gguf")
    return finetune.reader_for(GgufSource(path), weights.load_tokenizer(path))


def learnt(reader: chats.Reader, example: dict[str, list[int]]) -> str:
    """The learnt tokens as text."""
    ids = [i for i in example["labels"] if i != NO_LOSS]
    return str(reader.tokenizer.decode(ids))


def test_only_the_answer_and_its_end_are_learnt(reader: chats.Reader) -> None:
    example = reader.example({"messages": [QUESTION], "completion": "that"})

    assert learnt(reader, example) == "that<|im_end|>"
    text = reader.tokenizer.decode(example["input_ids"])
    assert text == ("<|im_start|>user\nthe th<|im_end|>\n<|im_start|>assistant\nthat<|im_end|>")
    prompt = reader.prompt([QUESTION])
    assert example["input_ids"][: len(prompt)] == prompt
    assert example["labels"][: len(prompt)] == [NO_LOSS] * len(prompt)


def test_of_a_chat_every_answer_is_learnt_where_that_is_asked(reader: chats.Reader) -> None:
    answer = {"role": "assistant", "content": "a"}
    line = {"messages": [QUESTION, answer, QUESTION], "completion": "b"}

    assert learnt(reader, reader.example({**line, "learn": "all"})) == "a<|im_end|>b<|im_end|>"
    assert learnt(reader, reader.example(line)) == "b<|im_end|>"


def test_a_template_that_rewrites_answers_leaves_the_last_to_learn(reader: chats.Reader) -> None:
    tokenizer = tokenizer_of(reader)
    tokenizer.chat_template = "{% for m in messages %}[{{ m.content | upper }}]{% endfor %}>"
    other = chats.Reader(tokenizer, reader.end_token_ids)

    example = other.example({"messages": [QUESTION], "completion": "that", "learn": "all"})

    assert tokenizer.decode(example["input_ids"]) == "[THE TH]>that<|im_end|>"
    assert learnt(other, example) == "that<|im_end|>"


def test_a_model_without_a_template_learns_no_chats(reader: chats.Reader) -> None:
    tokenizer = tokenizer_of(reader)
    tokenizer.chat_template = None

    with pytest.raises(ModelUnsuitable, match="no chat template"):
        chats.Reader(tokenizer, reader.end_token_ids)


def test_a_beginning_that_the_model_expects_comes_once(reader: chats.Reader) -> None:
    begun = chats.Reader(reader.tokenizer, reader.end_token_ids, begins=(0,))
    already = chats.Reader(reader.tokenizer, reader.end_token_ids, begins=(1,))
    line = {"messages": [QUESTION], "completion": "that"}

    assert begun.example(line)["input_ids"] == [0, *reader.example(line)["input_ids"]]
    assert begun.prompt([QUESTION]) == [0, *reader.prompt([QUESTION])]
    assert already.example(line) == reader.example(line)


def test_examples_that_are_too_long_are_told_by_their_lines_or_dropped() -> None:
    examples = [made(length, place) for place, length in ((8, 3), (40, 9), (5, 4), (12, 7))]

    with pytest.raises(InvalidRequest, match=r": line 12 \(7\), line 40 \(9\); shorten") as refused:
        chats.within(examples, 5, "refuse")

    assert refused.value.param == "context_length"
    assert [one["place"] for one in chats.within(examples, 5, "drop")] == [8, 5]
    with pytest.raises(InvalidRequest, match="4 examples have more than 2 tokens"):
        chats.within(examples, 2, "drop")


def test_of_many_that_are_too_long_all_lines_are_told() -> None:
    examples = [made(9, place) for place in range(1, 91) if place != 50]

    with pytest.raises(InvalidRequest, match=r"line 20 \(9\), and the lines 21-49, 51-90;"):
        chats.within(examples, 5, "refuse")


def test_a_part_of_which_nothing_is_left_is_refused() -> None:
    examples = [made(3, 1), made(9, 2, part="validation")]

    with pytest.raises(InvalidRequest, match=r"1 example has more than 5 tokens: line 2 \(9\)"):
        chats.within(examples, 5, "drop")


def made(length: int, place: int, part: str = "train") -> dict[str, Any]:
    """An example of so many tokens, from a line."""
    return {"input_ids": [0] * length, "labels": [], "part": part, "place": place}


def tokenizer_of(reader: chats.Reader) -> Any:
    """The tokenizer, to be changed."""
    return copy.deepcopy(reader.tokenizer)
