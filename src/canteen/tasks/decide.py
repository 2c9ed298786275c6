"""Decisions: questions about one state, each answered by the probabilities of its options."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from canteen.core.errors import InvalidRequest
from canteen.core.generation import Message
from canteen.tasks.choosing import Question, Weighed, weigh
from canteen.tasks.inputs import checked
from canteen.tasks.model import Model
from canteen.tasks.template import Template

PROMPT = Template(
    "decide",
    1,
    system="You judge what you are given, and answer with one of the answers allowed.",
    user="""\
{{ state }}

{{ instructions }}
{% for option in order %}
{% if descriptions[option] %}
{{ option }}: {{ descriptions[option] }}
{% endif %}
{% endfor %}
Answer with one of: {{ order | join(", ") }}.""",
)
YES_OR_NO = ("yes", "no")
MOST_OPTIONS = 255


@dataclass(frozen=True, slots=True)
class Option:
    """What may be answered; `value` false and "false" are different."""

    value: str | bool
    description: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """A question with its options in order; of a predicate, whether it is true, yes and no."""

    instructions: str
    options: tuple[Option, ...] = tuple(Option(word) for word in YES_OR_NO)
    param: str = "questions"

    def __post_init__(self) -> None:
        if not self.instructions.strip():
            raise InvalidRequest("the instructions are empty", param=f"{self.param}.instructions")
        if not 2 <= len(self.options) <= MOST_OPTIONS:
            raise InvalidRequest(
                f"from 2 to {MOST_OPTIONS} options can be chosen from, not {len(self.options)}",
                param=self.param,
            )
        texts = self.texts
        if len(set(texts)) < len(texts) or not all(text.strip() for text in texts):
            raise InvalidRequest("each option must be another, and none empty", param=self.param)

    @property
    def texts(self) -> tuple[str, ...]:
        """The options as a model says them."""
        values = [option.value for option in self.options]
        if any(isinstance(value, bool) for value in values):
            return tuple(json.dumps(value, ensure_ascii=False) for value in values)
        return tuple(map(str, values))


async def decide(
    model: Model, state: str, decisions: Sequence[Decision], *, temperature: float = 1.0
) -> list[Weighed]:
    """Weigh the options of each question about a state, which is read once."""
    questions = [_question(one) for one in decisions]
    found = await weigh(model, questions, checked(state))
    if temperature == 1.0:
        return found
    return [
        Weighed(tuple(logit / temperature for logit in one.logits), one.label_mass) for one in found
    ]


def expected(shares: Sequence[float]) -> float:
    """The mean place among options that are levels."""
    return sum(place * share for place, share in enumerate(shares))


def _question(one: Decision) -> Question:
    texts = one.texts
    descriptions = {
        text: option.description for text, option in zip(texts, one.options, strict=True)
    }

    def ask(order: Sequence[str], text: str) -> tuple[Message, ...]:
        return PROMPT.messages(
            state=text, instructions=one.instructions, order=order, descriptions=descriptions
        )

    key = ("decide", one.instructions, texts, tuple(descriptions.values()))
    return Question(texts, ask, key, has_order=texts != YES_OR_NO)
