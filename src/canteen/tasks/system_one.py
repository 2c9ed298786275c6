"""System One's questions by name: what each asks, and its answer as System One tells it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from canteen.core.errors import InvalidRequest
from canteen.tasks.choosing import Weighed
from canteen.tasks.decide import YES_OR_NO, Decision, Option, decide, expected
from canteen.tasks.inputs import checked
from canteen.tasks.model import Model

MOST_QUESTIONS = 64
MOST_LEVELS = 10
_TRUE_OR_FALSE = ("true", "false")

# What questions are about: a text, or told as JSON.
State = str | Mapping[str, Any] | Sequence[Any]
Criteria = Mapping[str, str | None] | Sequence[str] | None


@dataclass(frozen=True, slots=True)
class Question:
    """A `noul` (is it true?), a `choice` among options with descriptions, or a `score` on levels,
    each described. Criteria are those options or levels, or what `true` and `false` mean."""

    type: str
    instructions: str
    criteria: Criteria = None

    def decision(self, param: str) -> Decision:
        """What is to be weighed; raises InvalidRequest."""
        where, criteria = f"{param}.criteria", self.criteria
        if self.type == "noul":
            return Decision(self.instructions, _meanings(criteria or {}, where), param)
        if self.type == "choice" and isinstance(criteria, Mapping):
            options = tuple(Option(name, about or "") for name, about in criteria.items())
            return Decision(self.instructions, options, where)
        if self.type == "score" and _is_scale(criteria):
            levels = tuple(Option(str(place), about) for place, about in enumerate(criteria or ()))
            return Decision(self.instructions, levels, where)
        raise InvalidRequest(
            "a choice needs an object of its options, a score a list of 2 to "
            f"{MOST_LEVELS} descriptions; the type is noul, choice or score",
            param=where,
        )

    def answer(self, decision: Decision, weighed: Weighed) -> dict[str, Any]:
        """The answer as the wire has it."""
        shares = weighed.probabilities
        if self.type == "noul":
            return {"type": "noul", "noul": shares[0]}
        by_name = dict(zip(decision.texts, shares, strict=True))
        likeliest = max(by_name, key=by_name.__getitem__)
        told = {"type": self.type, "probabilities": by_name, "confidence": by_name[likeliest]}
        if self.type == "choice":
            return {**told, "choice": likeliest}
        legend = {str(place): one.description for place, one in enumerate(decision.options)}
        return {**told, "score": expected(shares), "legend": legend}


def text_of(state: State) -> str:
    """A state as a model reads it; raises InvalidRequest."""
    if isinstance(state, str):
        return checked(state, "state")
    try:
        if not isinstance(state, Mapping | list | tuple):
            raise TypeError(type(state))
        return checked(json.dumps(state, ensure_ascii=False), "state")
    except (TypeError, ValueError, RecursionError) as exc:
        raise InvalidRequest(
            "a state is a text, or an object or list that JSON can tell", param="state"
        ) from exc


async def answers(
    model: Model, state: State, questions: Mapping[str, Question], *, temperature: float = 1.0
) -> tuple[dict[str, dict[str, Any]], list[Weighed]]:
    """The answers by name, and what was weighed; raises InvalidRequest."""
    if not 1 <= len(questions) <= MOST_QUESTIONS:
        raise InvalidRequest(
            f"questions must be from 1 to {MOST_QUESTIONS}, not {len(questions)}", param="questions"
        )
    asked = {name: one.decision(f"questions.{name}") for name, one in questions.items()}
    found = await decide(model, text_of(state), list(asked.values()), temperature=temperature)
    told = {
        name: questions[name].answer(asked[name], weighed)
        for name, weighed in zip(asked, found, strict=True)
    }
    return told, found


def _is_scale(criteria: Criteria) -> bool:
    if isinstance(criteria, Mapping | str) or criteria is None:
        return False
    return 2 <= len(criteria) <= MOST_LEVELS


def _meanings(criteria: Any, param: str) -> tuple[Option, ...]:
    if not isinstance(criteria, Mapping) or not set(criteria) <= set(_TRUE_OR_FALSE):
        raise InvalidRequest("a noul's criteria are what true and false mean", param=param)
    return tuple(
        Option(word, criteria.get(which) or "")
        for word, which in zip(YES_OR_NO, _TRUE_OR_FALSE, strict=True)
    )
