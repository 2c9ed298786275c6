"""An answer says what the passages say, and cites only what there is."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.generation import Message
from canteen.tasks.answering import MOST_PASSAGES, NOTHING_FOUND, Answer, answer
from canteen.tasks.search import Hit
from tests.tasks.speaking import Speaking, model_of

FERRIES = "The ferries run every ten minutes until midnight. Tickets cost two euros."
BUSES = "Buses go through the tunnel on Sundays. The tunnel was opened in 1931."


def hits(*texts: str) -> list[Hit]:
    return [
        Hit(f"{number}.md", "Timetable", text, 100, 100 + len(text), 1.0)
        for number, text in enumerate(texts or (FERRIES, BUSES), 1)
    ]


async def said(text: str, question: str = "When do the ferries run?") -> Answer:
    return await answer(model_of(Speaking(lambda messages: text)), question, hits())


async def test_citations_lead_to_the_words_they_rest_on() -> None:
    told = await said("The ferries run every ten minutes [1]. The tunnel was opened in 1931 [2].")

    assert told.by == "model"
    assert told.text == "The ferries run every ten minutes [1]. The tunnel was opened in 1931 [2]."
    assert [(one.number, one.document) for one in told.citations] == [(1, "1.md"), (2, "2.md")]
    for one, text in zip(told.citations, (FERRIES, BUSES), strict=True):
        assert text[one.start - 100 : one.end - 100] == one.quote


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The ferries run every ten minutes [7].", "The ferries run every ten minutes [1]."),
        ("The ferries run every ten minutes.", "The ferries run every ten minutes [1]."),
        ("The ferries run every ten minutes. [1]", "The ferries run every ten minutes [1]."),
        ("The ferries run every ten minutes [2].", "The ferries run every ten minutes [1]."),
        ("Buses go through the tunnel [1, 2, 0].", "Buses go through the tunnel [2]."),
        (
            "The ferries run every ten minutes [1]. They are painted in Paris by Anna Smith [1].",
            "The ferries run every ten minutes [1].",
        ),
    ],
    ids=["no such passage", "no mark", "late mark", "wrong passage", "several", "made up"],
)
async def test_what_the_passages_do_not_bear_out_is_dropped(text: str, expected: str) -> None:
    told = await said(text)

    assert told.text == expected
    assert len(told.citations) == 1


@pytest.mark.parametrize("text", ["", "I like music and dance.", "It was Napoleon in 1812 [1]."])
async def test_where_nothing_holds_up_the_nearest_sentence_is_quoted(text: str) -> None:
    told = await said(text, "The ferries run every ten minutes until when?")

    assert told.by == "quote"
    assert told.text == "The ferries run every ten minutes until midnight [1]."
    assert told.citations[0].quote == "The ferries run every ten minutes until midnight."


async def test_nothing_found_is_said_without_asking_the_model() -> None:
    models = Speaking()

    told = await answer(model_of(models), "When?", [])

    assert told == Answer(NOTHING_FOUND, "nobody")
    assert models.asked == []


async def test_the_model_reads_the_best_passages_as_far_as_its_context_goes() -> None:
    models = Speaking(context=600)
    long = "Nothing is here. " * 300 + "The ferries run every ten minutes."

    await answer(model_of(models), "When do the ferries run?", hits(*[long] * 9))

    prompt = models.asked[0].messages[-1].content
    assert f"[{MOST_PASSAGES}]" in prompt
    assert f"[{MOST_PASSAGES + 1}]" not in prompt
    assert "The ferries run every ten minutes." in prompt
    assert len(prompt.split()) < 300


WORDS = [*"[]1230, .\n", "ferries ", "run ", "tunnel ", "[1]", "[2] "]


@given(st.lists(st.sampled_from(WORDS)).map("".join))
async def test_whatever_the_model_says_every_mark_has_its_citation(text: str) -> None:
    def say(messages: Sequence[Message]) -> str:
        return text

    told = await answer(model_of(Speaking(say)), "ferries?", hits())

    assert {one.number for one in told.citations} <= {1, 2}
    for one in told.citations:
        held = (FERRIES, BUSES)[one.number - 1]
        assert held[one.start - 100 : one.end - 100] == one.quote
        assert f"[{one.number}]" in told.text
