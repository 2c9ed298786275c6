"""Classification: which of the caller's labels a text bears, with a probability for each."""

import math
from dataclasses import dataclass

from canteen.core.asking import asked, check
from canteen.core.errors import InvalidRequest
from canteen.core.generation import ScorePrompt
from canteen.tasks.inputs import checked
from canteen.tasks.model import Model
from canteen.tasks.template import Template

PROMPT = Template(
    "classify",
    1,
    system="You sort texts. Answer with one of these labels: {{ labels | join(', ') }}.",
    user="{{ text }}",
)
MOST_LABELS = 256


@dataclass(frozen=True, slots=True)
class ClassifyRequest:
    """A text and the labels to choose from."""

    text: str
    labels: tuple[str, ...] = asked("The labels to choose from.", (), flag="--label")

    def __post_init__(self) -> None:
        check(self)
        if not 2 <= len(self.labels) <= MOST_LABELS:
            raise InvalidRequest(
                f"labels must be from 2 to {MOST_LABELS}, not {len(self.labels)}", param="labels"
            )


@dataclass(frozen=True, slots=True)
class Classified:
    """The likeliest label, and the probability of each."""

    label: str
    probability: float
    probabilities: dict[str, float]


async def classify(model: Model, request: ClassifyRequest) -> Classified:
    """Sort a text; raises InvalidRequest."""
    messages = PROMPT.messages(labels=request.labels, text=checked(request.text))
    (logprobs,) = await model.score([ScorePrompt(messages, request.labels)])
    most = max(logprobs)
    weights = [math.exp(one - most) for one in logprobs]
    shares = {
        label: weight / sum(weights) for label, weight in zip(request.labels, weights, strict=True)
    }
    label = max(shares, key=shares.__getitem__)
    return Classified(label, shares[label], shares)


def told(result: Classified) -> str:
    """The label and its probability."""
    return f"{result.label}\t{result.probability:.3f}"
