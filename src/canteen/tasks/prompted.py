"""Prompts of the caller's own as tasks: inputs in, text or an object out."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from canteen.core.errors import InvalidRequest
from canteen.core.generation import FinishReason, Grammar, Message, SamplingParams
from canteen.tasks.model import Model
from canteen.tasks.prompt_file import PromptFile, parsed
from canteen.tasks.prompt_inputs import checked
from canteen.tasks.prompt_template import PromptTemplate
from canteen.tasks.table import TASKS, Task

Given = str | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PromptRequest:
    """What a prompt is given: a value for each input, or one text where it takes one."""

    given: Given


@dataclass(frozen=True, slots=True)
class Prompted:
    """The answer; `finish_reason` is `length` where it was cut at the most tokens."""

    result: Any
    finish_reason: FinishReason


def check(name: str, source: str) -> None:
    """Raises InvalidRequest for what cannot be stored as the prompt of this name."""
    if name in TASKS:
        raise InvalidRequest(f"'{name}' is a task of Canteen's own; choose another", param="name")
    parsed(source)


def task(name: str, version: int, source: str) -> Task:
    """The task that a stored prompt is; raises InvalidRequest where it is damaged."""
    file = parsed(source)

    async def run(model: Model, request: PromptRequest) -> Prompted:
        return await _answer(file, model, request.given)

    about = file.description or f"The prompt {name}"
    return Task(name, about, PromptRequest, run, told, f"{name}/{version}")


def described(source: str) -> dict[str, Any]:
    """What a prompt declares, for every door; what is wrong with it, where it cannot be read."""
    try:
        file = parsed(source)
    except InvalidRequest as exc:
        return {"problem": exc.message}
    return {
        "description": file.description,
        "inputs": {name: one.described() for name, one in file.inputs.items()},
        "output": json.loads(file.output) if file.output else None,
        "model": file.model or None,
        "max_tokens": file.max_tokens,
        "temperature": file.temperature,
    }


def messages(file: PromptFile, given: Given) -> tuple[Message, ...]:
    """The chat that a prompt makes of its inputs; raises InvalidRequest."""
    values = checked(file.inputs, given)
    user = _rendered(file.user, values)
    if not user:
        raise InvalidRequest("the prompt is empty with these inputs", param="input")
    system = _rendered(file.system, values) if file.system else ""
    said: list[tuple[Literal["system", "user"], str]] = [("system", system), ("user", user)]
    return tuple(Message(role, text) for role, text in said if text)


def told(answer: Prompted) -> str:
    """The text, or the object as JSON."""
    if isinstance(answer.result, str):
        return answer.result
    return json.dumps(answer.result, ensure_ascii=False)


async def _answer(file: PromptFile, model: Model, given: Given) -> Prompted:
    # It may take half a second, in which other requests go on.
    chat = await asyncio.to_thread(messages, file, given)
    sampling = SamplingParams(max_tokens=file.max_tokens, temperature=file.temperature)
    grammar = Grammar("json_schema", file.output) if file.output else None
    completion = await model.write(chat, sampling, grammar, is_answer=True)
    result = json.loads(completion.text) if file.output else completion.text
    return Prompted(result, completion.choices[0].finish_reason)


def _rendered(template: PromptTemplate, values: Mapping[str, Any]) -> str:
    return template.render(values).strip()
