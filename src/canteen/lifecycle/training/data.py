"""Labelled data to learn from: read, checked, drawn and split by what the examples say."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from canteen.core.errors import InvalidRequest
from canteen.lifecycle.training.specs import Finetune

Part = dict[str, list["Example"]]

ROLES = ("system", "user", "assistant")
SHOWN = 20
LEAST_PER_CLASS = 2
# Of English text, and of a chat's frame and instruction: for an estimate before anything is read.
CHARS_PER_TOKEN = 4
FRAME_TOKENS = 60


@dataclass(frozen=True, slots=True)
class Example:
    """What is asked, as a chat, and the answer; for a text to classify, that and its label."""

    messages: tuple[Mapping[str, str], ...]
    completion: str
    label: str = ""

    @property
    def text(self) -> str:
        """The last thing said before the answer."""
        return self.messages[-1]["content"]

    @property
    def key(self) -> str:
        """The same for examples that ask the same, but for case and spaces."""
        said = [(one["role"], " ".join(one["content"].lower().split())) for one in self.messages]
        return json.dumps(said, ensure_ascii=False)

    def chat(self) -> dict[str, Any]:
        """As the program reads it that learns: every answer in the chat is learnt."""
        messages = [dict(one) for one in self.messages]
        return {"messages": messages, "completion": self.completion, "learn": "all"}


def read(path: Path, max_examples: int | None = None) -> list[Example]:
    """The examples of a JSONL file, or a sample of them; raises InvalidRequest.

    A line is a chat (`messages`), an instruction (`prompt` or `instruction`, perhaps `input`;
    and `completion`, `output` or `response`) or a text (`text` and `label`); all are of one kind.
    """
    found, kinds, wrong = [], set(), []
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            kind, example = _example(line)
        except ValueError as exc:
            wrong.append(f"line {number}: {exc}")
        else:
            kinds.add(kind)
            found.append((number, example))
    if not wrong and len(kinds) > 1:
        wrong.append(f"{' and '.join(sorted(kinds))} are mixed; keep one kind to a file")
    _refuse(wrong or _contradictions(found))
    return _drawn([example for _, example in found], max_examples)


def labelled(pairs: Iterable[tuple[str, str]], max_examples: int | None = None) -> list[Example]:
    """Texts and their labels as examples, or a sample; what is labelled both ways is left out."""
    found = [_classified(text, label) for text, label in pairs]
    answers = _answers(found)
    return _drawn([one for one in found if len(answers[one.key]) == 1], max_examples)


def labels(examples: Sequence[Example]) -> list[str]:
    """The classes, sorted; none for chats and instructions."""
    return sorted({one.label for one in examples} - {""})


def split(examples: Sequence[Example], share: float, seed: int) -> Part:
    """Parts `train` and `validation`, the latter with `share` of each class.

    Where an example goes follows from what it asks and from the seed: never from its place, and
    examples that ask the same go together.
    """
    classes: dict[str, set[str]] = defaultdict(set)
    for one in examples:
        classes[one.label].add(one.key)
    _refuse(
        f"class '{label}' has {len(keys)} example; it needs {LEAST_PER_CLASS}, one to learn from "
        "and one to validate on"
        if label
        else f"there is {len(keys)} example; {LEAST_PER_CLASS} are the least, and hundreds useful"
        for label, keys in sorted(classes.items())
        if len(keys) < LEAST_PER_CLASS
    )
    held: set[str] = set()
    for keys in classes.values():
        wanted = min(len(keys) - 1, max(1, round(share * len(keys))))
        held.update(sorted(keys, key=lambda key: _hash(f"{seed} {key}"))[:wanted])
    return {
        "train": [one for one in examples if one.key not in held],
        "validation": [one for one in examples if one.key in held],
    }


def digest(examples: Sequence[Example]) -> str:
    """`sha256:…` of what the examples say, whatever their order."""
    lines = sorted(json.dumps([*one.messages, one.completion, one.label]) for one in examples)
    return "sha256:" + _hash("\n".join(lines)).hex()


def num_tokens(examples: Sequence[Example], spec: Finetune) -> int:
    """About how many tokens a training on these examples reads."""
    chars = sum(
        len(one.completion) + sum(len(message["content"]) for message in one.messages)
        for one in examples
    )
    tokens = chars / CHARS_PER_TOKEN + FRAME_TOKENS * len(examples)
    passes = spec.epochs
    if spec.max_steps:
        passes = spec.max_steps * spec.batch_size * spec.accumulate / max(1, len(examples))
    return round(tokens * passes)


def _example(line: bytes) -> tuple[str, Example]:
    """What kind of line it is, and its example; raises ValueError that says what is wrong."""
    try:
        told = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    except json.JSONDecodeError as exc:
        raise ValueError(f"is no JSON ({exc.msg} at character {exc.pos + 1})") from None
    if not isinstance(told, dict):
        raise ValueError("is no object")
    for kind, field, make in _KINDS:
        if field in told:
            return kind, make(told)
    raise ValueError("has neither messages, nor prompt or instruction, nor text and label")


def _chat(told: Mapping[str, Any]) -> Example:
    messages = told["messages"]
    if not isinstance(messages, list) or len(messages) < 2:
        raise ValueError("messages must be a list of a question and an answer at least")
    for one in messages:
        if not isinstance(one, dict) or one.get("role") not in ROLES:
            raise ValueError(f"each message needs a role: {', '.join(ROLES)}")
    said = [{"role": one["role"], "content": _text(one, "content")} for one in messages]
    if said[-1]["role"] != "assistant":
        raise ValueError("the last message must be the assistant's: it is what is learnt")
    return Example(tuple(said[:-1]), said[-1]["content"])


def _instruction(told: Mapping[str, Any]) -> Example:
    asked = _text(told, "prompt" if "prompt" in told else "instruction")
    if told.get("input"):
        asked = f"{asked}\n\n{_text(told, 'input')}"
    answer = next((one for one in ("completion", "output", "response") if one in told), None)
    if answer is None:
        raise ValueError("has no completion, output or response")
    return Example(({"role": "user", "content": asked},), _text(told, answer))


def _labelled_text(told: Mapping[str, Any]) -> Example:
    return _classified(_text(told, "text"), _text(told, "label"))


def _classified(text: str, label: str) -> Example:
    return Example(({"role": "user", "content": text},), label, label)


_KINDS: tuple[tuple[str, str, Callable[[Mapping[str, Any]], Example]], ...] = (
    ("chats", "messages", _chat),
    ("instructions", "prompt", _instruction),
    ("instructions", "instruction", _instruction),
    ("labelled texts", "text", _labelled_text),
)


def _text(told: Mapping[str, Any], field: str) -> str:
    value = told.get(field)
    if field == "label" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise ValueError(f"{field} must be a text")
    if not value.strip():
        raise ValueError(f"{field} is empty")
    return value


def _contradictions(found: Sequence[tuple[int, Example]]) -> list[str]:
    """What is said of texts that have two labels."""
    answers = _answers([example for _, example in found if example.label])
    lines: dict[str, list[int]] = defaultdict(list)
    for number, example in found:
        lines[example.key].append(number)
    return [
        f"lines {', '.join(map(str, lines[key]))}: one text is labelled "
        f"{' and '.join(sorted(told))}"
        for key, told in answers.items()
        if len(told) > 1
    ]


def _answers(examples: Iterable[Example]) -> dict[str, set[str]]:
    """The completions there are for what is asked."""
    answers: dict[str, set[str]] = defaultdict(set)
    for one in examples:
        answers[one.key].add(one.completion)
    return answers


def _drawn(examples: Sequence[Example], most: int | None) -> list[Example]:
    """Each example once; at most so many, drawn by hash."""
    once = {_hash(f"{one.key} {one.completion}"): one for one in examples}
    if not once:
        raise InvalidRequest("the data has no examples", param="data")
    if most is None or most >= len(once):
        return list(once.values())
    return [once[key] for key in sorted(once)[:most]]


def _refuse(wrong: Iterable[str]) -> None:
    told = list(wrong)
    if not told:
        return
    more = f"; and {len(told) - SHOWN:,} more" if len(told) > SHOWN else ""
    count = f"{len(told):,} faults in the data: " if len(told) > 1 else ""
    raise InvalidRequest(f"{count}{'; '.join(told[:SHOWN])}{more}", param="data")


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
