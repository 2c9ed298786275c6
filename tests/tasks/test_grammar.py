"""Corrections: only what the model finds far likelier, and no word that must stay."""

import asyncio

import pytest

from canteen.core.errors import NotSupported
from canteen.core.generation import ScoreRequest, Scores
from canteen.tasks.grammar import corrected, is_near
from canteen.tasks.slips import edits, is_english
from tests.tasks.speaking import Speaking, model_of

BAD = {"recieved": 20, "go": 8, "dont": 9, "a apple": 7}


def likely(text: str) -> float:
    """Each thing that is wrong costs something, and so does each word."""
    wrong = sum(cost for word, cost in BAD.items() if f" {word} " in f" {text} ")
    return -wrong - len(text.split())


def run(sentence: str, *suggestions: str) -> str:
    return asyncio.run(corrected(model_of(Speaking(likely=likely)), sentence, suggestions))


def test_errors_are_put_right_one_beside_the_other() -> None:
    assert run("She go to a apple tree.") == "She goes to an apple tree."
    assert run("We recieved it and dont know.") == "We received it and don't know."


def test_what_is_right_stays() -> None:
    sentence = "The bridge, which opened in 1931, carries cars."

    assert run(sentence) == sentence


def test_a_suggestion_is_taken_where_it_is_near_and_likelier() -> None:
    sentence = "At that time he had go to the school by the river every day."

    assert run(sentence, sentence.replace("had go", "had gone")).count("had gone") == 1


@pytest.mark.parametrize(
    "suggestion",
    ["He is here.", "In 1931 Ann see {x}.", "In 1932 Ann saw {x} there.", "In 1931 she saw {x}."],
)
def test_a_suggestion_that_is_another_sentence_or_loses_something_is_not_taken(
    suggestion: str,
) -> None:
    assert not is_near("In 1931 Ann see {x}.", suggestion)


def test_a_suggestion_that_leaves_out_what_is_said_is_not_taken() -> None:
    sentence = "Yesterday she have forgot hers books, and buyed theirs at the school."

    assert not is_near(sentence, "She forgot her books, and bought theirs at the school.")
    assert is_near(sentence, "Yesterday she forgot her books, and bought their at the school.")


def test_names_quotes_and_code_are_not_touched() -> None:
    sentence = 'So Go said "we go" to `go run` for {go}.'

    assert run(sentence) == sentence


def test_where_the_model_cannot_score_a_near_suggestion_is_taken() -> None:
    class Silent(Speaking):
        async def score(self, request: ScoreRequest) -> Scores:
            raise NotSupported("no scores")

    model = model_of(Silent())
    sentence = "She go to the school by the river every day."

    fixed = asyncio.run(corrected(model, sentence, ["Yes.", sentence.replace("go", "goes")]))

    assert fixed == "She goes to the school by the river every day."


def test_only_english_has_small_edits() -> None:
    assert is_english("She go to the school.")
    assert not is_english("Sie gehen jeden Tag zur Schule.")
    assert run("Elle recieved une lettre hier soir.") == "Elle recieved une lettre hier soir."


def test_edits_are_made_where_they_say() -> None:
    made = {edit.of("He go to school.") for edit in edits("He go to school.")}

    assert {"He goes to school.", "He go to the school.", "He go too school."} <= made
