"""Choosing among options by what a model finds likely."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.generation import Message, ScorePrompt, ScoreRequest, Scores, Usage
from canteen.tasks.choosing import Question, softmax, weigh
from canteen.tasks.model import Model
from tests.tasks.silent import Silent

OPTIONS = ("red", "green", "blue")


class Prejudiced(Silent):
    """Likes the first option it is told by 2, blue by 3 whatever it reads, and an option that the
    text names by 1."""

    def __init__(self) -> None:
        self.num_prompts = 0

    async def score(self, request: ScoreRequest) -> Scores:
        self.num_prompts += len(request.prompts)
        return Scores(tuple(map(self._score, request.prompts)), Usage(prompt_tokens=1))

    def _score(self, prompt: ScorePrompt) -> tuple[float, ...]:
        told, text = (message.content for message in prompt.messages)
        return tuple(
            2.0 * told.startswith(option) + 3.0 * (option == "blue") + 1.0 * (option in text) - 9
            for option in prompt.continuations
        )


def ask(order: Sequence[str], text: str) -> tuple[Message, ...]:
    return Message("system", ", ".join(order)), Message("user", text)


QUESTION = Question(OPTIONS, ask, "colours")


@pytest.fixture
def models() -> Prejudiced:
    return Prejudiced()


@pytest.fixture
def model(models: Prejudiced) -> Model:
    return Model(models, "any", "any", "test")


async def test_what_a_model_prefers_anyway_is_taken_off(model: Model) -> None:
    (weighed,) = await weigh(model, [QUESTION], "a green hill")

    assert weighed.logits == pytest.approx((0.0, 1.0, 0.0))


async def test_without_it_the_preference_decides(model: Model) -> None:
    (weighed,) = await weigh(model, [QUESTION], "a green hill", debias=False)

    assert max(zip(weighed.logits, OPTIONS, strict=True))[1] == "blue"


async def test_the_preference_is_asked_once_for_all_texts(model: Model, models: Prejudiced) -> None:
    texts = [f"text {number}" for number in range(10)]

    for text in texts:
        await weigh(model, [QUESTION], text)

    assert models.num_prompts == 2 * len(texts) + 2


async def test_the_mass_of_the_labels_is_told(model: Model) -> None:
    (weighed,) = await weigh(model, [QUESTION], "nothing", debias=False)

    assert weighed.label_mass == pytest.approx(math.exp(-7) + math.exp(-9) + math.exp(-6))


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=300))
def test_probabilities_add_up_to_one(logits: list[float]) -> None:
    shares = softmax(logits)

    assert math.fsum(shares) == pytest.approx(1)
    assert all(0 <= share <= 1 for share in shares)
    assert shares[logits.index(max(logits))] == max(shares)
