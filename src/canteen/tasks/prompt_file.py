"""A prompt's file: what it declares between two lines of `---`, in YAML, and then its words."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import yaml

from canteen.core.errors import InvalidRequest
from canteen.tasks.prompt_inputs import TYPES, Input
from canteen.tasks.prompt_template import MOST_DEPTH, MOST_SOURCE, RESERVED, PromptTemplate, wrong
from canteen.tasks.schema import Schema

MOST_INPUTS = 100
MOST_DECLARED = 16 << 10
MOST_TOKENS = 1 << 20
_KEYS = ("description", "inputs", "system", "output", "model", "max_tokens", "temperature")
_INPUT_KEYS = ("type", "description", "default", "required")
_FRONT = re.compile(r"---[^\S\n]*\n(.*?)^---[^\S\n]*(?:\n|\Z)", re.DOTALL | re.MULTILINE)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class PromptFile:
    """What a prompt asks of its caller, of a model, and in which words. `output` is the JSON
    Schema of the answer, as JSON text, where there is one."""

    user: PromptTemplate
    system: PromptTemplate | None = None
    description: str = ""
    inputs: Mapping[str, Input] = field(default_factory=dict)
    output: str = ""
    model: str = ""
    max_tokens: int | None = None
    temperature: float = 0.0


@lru_cache(maxsize=64)
def parsed(source: str) -> PromptFile:
    """Read a prompt's file; raises InvalidRequest, which names the line, for one that is wrong."""
    if len(source) > MOST_SOURCE:
        raise wrong(1, f"the file is longer than {MOST_SOURCE:,} characters")
    source = source.removeprefix("\ufeff").replace("\r\n", "\n")
    found = _FRONT.match(source)
    front, body = (found[1], source[found.end() :]) if found else ("", source)
    if len(front) > MOST_DECLARED:
        raise wrong(1, f"what is declared is longer than {MOST_DECLARED:,} characters")
    first_line = 1 + source.count("\n", 0, len(source) - len(body))
    if not body.strip():
        raise wrong(first_line, "there is no prompt after what is declared")
    declared = _Front(front)
    file = declared.file(PromptTemplate(body, first_line))
    _compare(file, declared)
    return file


class _Front:
    """What is declared, and the line of each key."""

    def __init__(self, text: str) -> None:
        self.lines: dict[str, int] = {}
        self.first_line_of_system = 1
        try:
            self.values = self._loaded(text)
        except yaml.MarkedYAMLError as exc:
            line = exc.problem_mark.line + 2 if exc.problem_mark else 1
            raise wrong(line, f"not valid YAML: {exc.problem}") from exc
        except (yaml.YAMLError, ValueError, RecursionError) as exc:
            raise wrong(1, f"not valid YAML: {str(exc).splitlines()[0]}") from exc
        self._only(self.values, _KEYS)

    def file(self, user: PromptTemplate) -> PromptFile:
        """All of it, checked."""
        system = self._text("system")
        return PromptFile(
            user,
            PromptTemplate(system, self.first_line_of_system) if system.strip() else None,
            self._text("description").strip(),
            self._inputs(),
            self._output(),
            self._text("model"),
            self._number("max_tokens", int, 1, MOST_TOKENS),
            self._number("temperature", float, 0, 2) or 0.0,
        )

    def _loaded(self, text: str) -> dict[str, Any]:
        loader = yaml.SafeLoader(text)
        try:
            _check_events(text)
            node = loader.get_single_node()
            if node is None:
                return {}
            if not isinstance(node, yaml.MappingNode):
                raise wrong(2, "what is declared must be names with values, as description: …")
            self._note_lines(node, "")
            values: dict[str, Any] = loader.construct_document(node)
            return values
        finally:
            loader.dispose()

    def _note_lines(self, node: yaml.MappingNode, path: str) -> None:
        for key, value in node.value:
            name = f"{path}{key.value}"
            self.lines[name] = key.start_mark.line + 2
            if name == "system":
                is_block = value.style == "|"
                self.first_line_of_system = value.start_mark.line + 2 + is_block
            if isinstance(value, yaml.MappingNode) and path in ("", "inputs."):
                self._note_lines(value, f"{name}.")

    def _inputs(self) -> dict[str, Input]:
        inputs = self.values.get("inputs") or {}
        if not isinstance(inputs, dict) or len(inputs) > MOST_INPUTS:
            raise self.error("inputs", f"inputs must be at most {MOST_INPUTS} names with values")
        return {name: self._input(name, told or {}) for name, told in inputs.items()}

    def _input(self, name: Any, told: Any) -> Input:
        path = f"inputs.{name}"
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in RESERVED:
            raise self.error(path, f"'{name}' cannot be an input's name; use letters, digits and _")
        if not isinstance(told, dict):
            raise self.error(path, f"input '{name}' must be a mapping, as {{type: string}}")
        self._only(told, _INPUT_KEYS, f"{path}.")
        kind = told.get("type", "string")
        if kind not in TYPES:
            raise self.error(f"{path}.type", f"the type must be one of {', '.join(TYPES)}")
        is_required = told.get("required", "default" not in told)
        if not isinstance(is_required, bool) or (is_required and "default" in told):
            raise self.error(f"{path}.required", "required is true or false, or there is a default")
        one = Input(kind, str(told.get("description", "")), is_required=is_required)
        if told.get("default") is None:
            return one
        return replace(one, default=self._default(path, name, one, told["default"]))

    def _default(self, path: str, name: str, one: Input, value: Any) -> Any:
        try:
            return one.checked(name, value)
        except InvalidRequest as exc:
            raise self.error(f"{path}.default", f"the default of {exc.message}") from exc

    def _output(self) -> str:
        if self.values.get("output") is None:
            return ""
        try:
            text = json.dumps(self.values["output"], allow_nan=False)
            Schema(text, param="source")
        except (TypeError, ValueError, RecursionError) as exc:
            raise self.error("output", f"output must be a JSON Schema: {exc}") from exc
        except InvalidRequest as exc:
            raise self.error("output", exc.message) from exc
        return text

    def _text(self, key: str) -> str:
        value = self.values.get(key)
        if value is not None and not isinstance(value, str):
            raise self.error(key, f"{key} must be text")
        return value or ""

    def _number(self, key: str, kind: type, least: int, most: int) -> Any:
        value = self.values.get(key)
        if value is None:
            return None
        is_number = isinstance(value, int | kind) and not isinstance(value, bool)
        if not is_number or not least <= value <= most:
            what = "a whole number" if kind is int else "a number"
            raise self.error(key, f"{key} must be {what} from {least} to {most:,}")
        return kind(value)

    def _only(self, told: Mapping[Any, Any], known: tuple[str, ...], path: str = "") -> None:
        for key in told:
            if key not in known:
                raise self.error(f"{path}{key}", f"'{key}' is none of {', '.join(known)}")

    def error(self, path: str, problem: str) -> InvalidRequest:
        """A problem where it is, or where what it is in begins."""
        while path not in self.lines and "." in path:
            path = path.rpartition(".")[0]
        return wrong(self.lines.get(path, 1), problem)


def _check_events(text: str) -> None:
    """As they come, since reading on takes time that grows with the square of the depth."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("aliases (*name) are not allowed here")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_DEPTH:
            raise ValueError(f"nested deeper than {MOST_DEPTH}")


def _compare(file: PromptFile, declared: _Front) -> None:
    """What is used is declared, and what is declared is used."""
    used: dict[str, int] = {}
    for template in (file.user, file.system):
        used |= template.names if template else {}
    for name, line in used.items():
        if name not in file.inputs:
            raise wrong(line, f"'{name}' is not declared; add it to inputs, or take it out")
    for name in file.inputs:
        if name not in used:
            raise declared.error(f"inputs.{name}", f"input '{name}' is not used in the prompt")
