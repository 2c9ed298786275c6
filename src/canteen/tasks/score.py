"""Scoring labels: how likely a model finds each of some answers."""

import asyncio
import re
from dataclasses import dataclass

from canteen.core.engine import Engine, complete
from canteen.core.errors import InvalidRequest
from canteen.core.generation import GenerationRequest, Grammar, Message, SamplingParams

MOST_LABELS = 256
_SPECIAL = re.compile(r"([\\^$.|?*+()\[\]{}/])")


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """Labels to score after `messages` or a raw `prompt`."""

    id: str
    model: str
    labels: tuple[str, ...]
    messages: tuple[Message, ...] = ()
    prompt: str | None = None
    caller_id: str = ""


async def score(engine: Engine, request: ScoreRequest) -> tuple[float, ...]:
    """The natural-log probability of each label, in order; raises InvalidRequest.

    Each label is forced by a grammar while the model tells what it thought of it. Of the ways to
    spell a label in tokens the greedy one is scored, which for long labels can be an unusual
    one: short codes (A, B, C) named in the prompt compare best.
    """
    if not engine.capabilities.grammar:
        raise InvalidRequest(f"engine '{engine.name}' cannot score labels", param="model")
    if not 1 <= len(request.labels) <= MOST_LABELS or not all(request.labels):
        raise InvalidRequest(
            f"labels must be from 1 to {MOST_LABELS} texts, none of them empty", param="labels"
        )
    forced = [_forced(request, index) for index in range(len(request.labels))]
    # The first one reads the prompt; the others find it in the prefix cache.
    first = await _logprob(engine, forced[0])
    async with asyncio.TaskGroup() as group:
        rest = [group.create_task(_logprob(engine, each)) for each in forced[1:]]
    return (first, *(task.result() for task in rest))


def _forced(request: ScoreRequest, index: int) -> GenerationRequest:
    label = request.labels[index]
    return GenerationRequest(
        id=f"{request.id}-label-{index}",
        model=request.model,
        messages=request.messages,
        prompt=request.prompt,
        # No token is shorter than a byte, and one more ends it.
        sampling=SamplingParams(temperature=0.0, max_tokens=len(label.encode()) + 1),
        grammar=Grammar("regex", _SPECIAL.sub(r"\\\1", label)),
        logprobs=True,
        caller_id=request.caller_id,
    )


async def _logprob(engine: Engine, request: GenerationRequest) -> float:
    completion = await complete(engine, request)
    return sum(token.logprob for token in completion.choices[0].logprobs)
