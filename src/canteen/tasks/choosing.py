"""Choosing among options by how likely a model finds each, cleared of what it prefers anyway.

A small model prefers some options whatever it reads. What it prefers is asked with a text that
says nothing, and taken off (contextual calibration: Zhao et al., arXiv 2102.09690); the order
in which the options stand is turned round once, and both answers are averaged.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from canteen.core.generation import Message, ScorePrompt
from canteen.tasks.model import Model

SAY_NOTHING = "N/A"

# The chat that asks about a text, the options standing in this order.
Ask = Callable[[Sequence[str], str], tuple[Message, ...]]


@dataclass(frozen=True, slots=True)
class Question:
    """Options to choose from, and how they are asked for; `key` is the same where only the text
    differs. `has_order`: the question tells the options, one after the other."""

    options: tuple[str, ...]
    ask: Ask
    key: Hashable
    has_order: bool = True


@dataclass(frozen=True, slots=True)
class Weighed:
    """A logarithmic weight for each option; their softmax are its probabilities. `label_mass` is
    what the model gives all options together, of all that it might say."""

    logits: tuple[float, ...]
    label_mass: float

    @property
    def probabilities(self) -> tuple[float, ...]:
        """Of each option, if it must be one of them."""
        return softmax(self.logits)


async def weigh(
    model: Model, questions: Sequence[Question], text: str, *, debias: bool = True
) -> list[Weighed]:
    """Weigh the options of each question about a text; what prompts share is read once."""
    found = await _scored(model, questions, text, debias=debias)
    if not debias:
        return [_weighed(one, None) for one in found]
    preferred = await _preferred(model, questions)
    return [_weighed(one, bias) for one, bias in zip(found, preferred, strict=True)]


def softmax(logits: Sequence[float]) -> tuple[float, ...]:
    """Shares that add up to 1."""
    most = max(logits)
    weights = [math.exp(one - most) for one in logits]
    total = math.fsum(weights)
    return tuple(one / total for one in weights)


async def _preferred(model: Model, questions: Sequence[Question]) -> list[Sequence[float]]:
    """What the model gives each option whatever it reads; once for all texts of a batch."""

    async def of_all() -> list[Sequence[float]]:
        found = await _scored(model, questions, SAY_NOTHING, debias=True)
        return [_mean(rows) for rows in found]

    return await model.once(tuple(one.key for one in questions), of_all)


async def _scored(
    model: Model, questions: Sequence[Question], text: str, *, debias: bool
) -> list[list[Sequence[float]]]:
    """For each question a row of scores for each order of its options."""
    prompts = [_prompts(one, text, debias=debias) for one in questions]
    rows = iter(await model.score([prompt for some in prompts for prompt in some]))
    return [[next(rows) for _ in some] for some in prompts]


def _prompts(question: Question, text: str, *, debias: bool) -> list[ScorePrompt]:
    orders = [question.options]
    if debias and question.has_order:
        orders.append(question.options[::-1])
    return [ScorePrompt(question.ask(order, text), question.options) for order in orders]


def _weighed(rows: Sequence[Sequence[float]], bias: Sequence[float] | None) -> Weighed:
    logits = _mean(rows)
    mass = sum(math.fsum(map(math.exp, row)) for row in rows) / len(rows)
    if bias is not None:
        logits = tuple(one - other for one, other in zip(logits, bias, strict=True))
    # Where one option begins with another, what they have in common counts twice.
    return Weighed(tuple(logits), min(mass, 1.0))


def _mean(rows: Sequence[Sequence[float]]) -> tuple[float, ...]:
    return tuple(math.fsum(column) / len(rows) for column in zip(*rows, strict=True))
