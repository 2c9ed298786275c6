"""Tool calling: which tool is asked for, as a grammar, and the calls as they come back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from canteen.core.engine import Capabilities
from canteen.core.errors import InvalidOutput, InvalidRequest
from canteen.core.generation import GenerationRequest, Grammar, Message, Tool, ToolCall
from canteen.tasks.schema import PLAIN, check, validator

PROMPT = """You may call these functions. Answer with one JSON object that has the function's \
"name" and its "arguments".

{tools}"""

OPENING = "<tool_call>"
CLOSING = "</tool_call>"


def prepared(request: GenerationRequest, capabilities: Capabilities) -> GenerationRequest:
    """The request as the engine is to see it: tools dropped, left to the template, or forced.

    Raises InvalidRequest where the choice cannot be honoured.
    """
    if not request.tools:
        if request.tool_choice.mode in ("required", "named"):
            raise InvalidRequest("tool_choice asks for a tool and tools is empty", param="tools")
        return request
    if request.tool_choice.mode == "none":
        return replace(request, tools=())
    if is_forced(request):
        return _forced(request, capabilities)
    if not capabilities.tools_in_template:
        raise InvalidRequest(
            f"'{request.model}' does not support tools by its own choice (its chat template has "
            "no tools); use tool_choice 'required' or a named function, which works with any model",
            param="tool_choice",
        )
    for tool in request.tools:
        validator(dict(tool.parameters), "tools")
    return request


def may_call(request: GenerationRequest) -> bool:
    """Whether there are tools to call."""
    return bool(request.tools) and request.tool_choice.mode != "none"


def is_forced(request: GenerationRequest) -> bool:
    """Whether a call is demanded, not left to the model."""
    return bool(request.tools) and request.tool_choice.mode in ("required", "named")


def _forced(request: GenerationRequest, capabilities: Capabilities) -> GenerationRequest:
    tools = _candidates(request)
    for tool in tools:
        check(tool.parameters, "tools")
    messages = request.messages
    if not capabilities.tools_in_template:
        text = PROMPT.format(tools="\n".join(_described(tool) for tool in tools))
        messages = _with_system(messages, text)
    grammar = Grammar("json_schema", json.dumps(call_schema(tools)))
    return replace(request, messages=messages, tools=tools, grammar=grammar)


def _candidates(request: GenerationRequest) -> tuple[Tool, ...]:
    name = request.tool_choice.name
    if request.tool_choice.mode != "named":
        return request.tools
    tools = tuple(tool for tool in request.tools if tool.name == name)
    if not tools:
        raise InvalidRequest(
            f"tool_choice names '{name}', which is not in tools", param="tool_choice"
        )
    return tools


def _described(tool: Tool) -> str:
    return json.dumps(
        {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    )


def _with_system(messages: tuple[Message, ...], text: str) -> tuple[Message, ...]:
    if messages and messages[0].role == "system":
        first = replace(messages[0], content=f"{messages[0].content}\n\n{text}")
        return (first, *messages[1:])
    return (Message("system", text), *messages)


def call_schema(tools: tuple[Tool, ...]) -> dict[str, Any]:
    """A JSON Schema of a call to one of the tools; their definitions move to the root."""
    definitions: dict[str, Any] = {}
    branches = [_branch(tool, definitions) for tool in tools]
    schema: dict[str, Any] = branches[0] if len(branches) == 1 else {"anyOf": branches}
    return {**schema, "$defs": definitions} if definitions else schema


def _branch(tool: Tool, definitions: dict[str, Any]) -> dict[str, Any]:
    parameters = dict(tool.parameters) or {"type": "object", "properties": {}}
    for key in ("$defs", "definitions"):
        for name, inner in parameters.pop(key, {}).items():
            definitions[f"{tool.name}.{name}"] = _moved(inner, tool.name)
    return {
        "type": "object",
        "properties": {"name": {"const": tool.name}, "arguments": _moved(parameters, tool.name)},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _moved(schema: Any, owner: str) -> Any:
    """The schema with its references pointing to where the definitions now are."""
    if isinstance(schema, list):
        return [_moved(item, owner) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {key: _moved_value(key, value, owner) for key, value in schema.items()}


def _moved_value(key: str, value: Any, owner: str) -> Any:
    if key in PLAIN:
        return value
    if key != "$ref" or not isinstance(value, str):
        return _moved(value, owner)
    for place in ("#/$defs/", "#/definitions/"):
        if value.startswith(place):
            return f"#/$defs/{owner}.{value.removeprefix(place)}"
    raise InvalidRequest(
        f"the parameters of '{owner}' refer to {value!r}; put what they refer to under $defs",
        param="tools",
    )


def parsed(text: str, tools: tuple[Tool, ...], call_id: str) -> ToolCall | None:
    """A call to one of the tools, if that is what the text is."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if not isinstance(value, dict) or value.get("name") not in {tool.name for tool in tools}:
        return None
    arguments = value.get("arguments", value.get("parameters", {}))
    return ToolCall(call_id, value["name"], json.dumps(arguments))


def check_calls(calls: Sequence[ToolCall], request: GenerationRequest) -> None:
    """Raises InvalidOutput for calls that are not of the tools given, or are none where one is
    demanded."""
    names = {tool.name for tool in _candidates(request)}
    are_calls = all(call.name in names and _is_json(call.arguments) for call in calls)
    if not are_calls or (is_forced(request) and not calls):
        raise InvalidOutput("the model's answer is no call of the tools given; try again")


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


class CallFinder:
    """Separates text from the calls a model of free choice puts into it, while it streams.

    Calls stand between <tool_call> marks, or the whole answer is one JSON object.
    """

    def __init__(self, request: GenerationRequest, index: int) -> None:
        self._tools = request.tools
        self._prefix = f"call_{request.id}_{index}_"
        self._held = ""
        self._is_begun = False
        self.calls: list[ToolCall] = []

    def feed(self, text: str) -> str:
        """Take a piece; give back what is surely text."""
        self._held += text
        if not self._is_begun and not self._held.strip():
            return ""
        if not self._is_begun and self._held.lstrip().startswith("{"):
            return ""
        self._is_begun = True
        return self._released()

    def finish(self) -> str:
        """The text that turned out to be no call."""
        call = None if self._is_begun else self._parsed(self._held)
        text = "" if call else self._held
        self._held = ""
        return text

    def _released(self) -> str:
        out = ""
        while (start := self._held.find(OPENING)) >= 0:
            end = self._held.find(CLOSING, start)
            if end < 0:
                break
            call = self._parsed(self._held[start + len(OPENING) : end])
            out += self._held[:start] if call else self._held[: end + len(CLOSING)]
            self._held = self._held[end + len(CLOSING) :]
        keep = len(self._held) - start if start >= 0 else _overlap(self._held, OPENING)
        cut = len(self._held) - keep
        out, self._held = out + self._held[:cut], self._held[cut:]
        return out

    def _parsed(self, text: str) -> ToolCall | None:
        call = parsed(text, self._tools, f"{self._prefix}{len(self.calls)}")
        if call is not None:
            self.calls.append(call)
        return call


def _overlap(text: str, mark: str) -> int:
    """How many characters at the end of `text` may be the beginning of `mark`."""
    lengths = range(min(len(text), len(mark) - 1), 0, -1)
    return next((n for n in lengths if text.endswith(mark[:n])), 0)
