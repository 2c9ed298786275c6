"""Examples to learn from: read, checked to the last line, and split by what they say."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from canteen.core.errors import InvalidRequest
from canteen.lifecycle import lines

ROLES = ("system", "user", "assistant", "tool")
# Under these names an instruction has its question, what it is about, and its answer.
_ASKED, _ABOUT, _ANSWERED = (
    ("prompt", "instruction"),
    ("input",),
    ("completion", "output", "response"),
)
_FORMS = (
    'a chat {"messages": [...]}, an instruction {"prompt", "completion"} '
    'or a text with its class {"text", "label"}'
)
FEWEST = 4
# A token of English, on average, has so many characters.
CHARS_PER_TOKEN = 3.5
# What a template sets around a message: two marks, the role, line ends.
TOKENS_PER_MESSAGE = 5


@dataclass(frozen=True, slots=True)
class Example:
    """A chat whose last message, the assistant's, is to be learned; of a classification it is the
    label. `place` is its line or number, from 1."""

    kind: str
    messages: tuple[Mapping[str, str], ...]
    completion: str
    place: int

    @property
    def key(self) -> str:
        """What it asks, by which it is sorted into a part: the same question, the same part."""
        asked = json.dumps([dict(one) for one in self.messages], sort_keys=True)
        return hashlib.sha256(asked.encode()).hexdigest()

    @property
    def text(self) -> str:
        """Of a classification, what is to be sorted."""
        return self.messages[-1]["content"]

    @property
    def label(self) -> str:
        """Of a classification, the class."""
        return self.completion

    def chat(self) -> dict[str, Any]:
        """As the program that trains reads it; of a chat all that the assistant says is learned."""
        told = {"messages": [dict(one) for one in self.messages], "completion": self.completion}
        return {**told, "learn": "all"} if self.kind == "chat" else told


class _Broken(str):
    """What is wrong with a line, in place of what it says."""


def read(path: Path, most: int | None = None) -> list[Example]:
    """The examples of a JSONL file, or a sample of `most`.

    Raises InvalidRequest, which tells every broken line by its number.
    """
    try:
        # A text may hold what only looks like the end of a line to splitlines.
        texts = path.read_text("utf-8-sig").split("\n")
    except UnicodeDecodeError as exc:
        raise InvalidRequest(f"{path.name} is not UTF-8 text", param="data") from exc
    numbered = ((number, line) for number, line in enumerate(texts, 1) if line.strip())
    return _checked([(number, _parsed(line)) for number, line in numbered], most)


def labelled(pairs: Iterable[tuple[str, str]], most: int | None = None) -> list[Example]:
    """Texts with their classes as examples; those without text are left out, and of those that
    are the same all but the first."""
    firsts: dict[str, Example] = {}
    for number, (text, label) in enumerate(pairs, 1):
        if text.strip():
            one = _classified({"text": text, "label": label}, number)
            firsts.setdefault(one.key, one)
    return _sampled(list(firsts.values()), most)


def labels(examples: Sequence[Example]) -> tuple[str, ...]:
    """The classes, in order; none where the examples are chats."""
    return tuple(sorted({one.label for one in examples if one.kind == "classification"}))


def split(
    examples: Sequence[Example], validation_share: float, seed: int
) -> dict[str, list[Example]]:
    """`train` and `validation`, by a hash of what each example asks: the order of the file does
    not matter, and the same question is never in both.

    Raises InvalidRequest where a part is empty, or no example of a class is left to learn from.
    """
    parts: dict[str, list[Example]] = {"train": [], "validation": []}
    for one in examples:
        is_held_back = _share(one.key, seed) < validation_share
        parts["validation" if is_held_back else "train"].append(one)
    for name, members in parts.items():
        if not members:
            raise InvalidRequest(
                f"no example fell into the {name} part; give more examples, or another "
                "validation_share or seed",
                param="validation_share",
            )
    missing = set(labels(examples)) - {one.label for one in parts["train"]}
    if missing:
        raise InvalidRequest(
            f"no example of '{min(missing)}' is left to learn from; give more of them", param="data"
        )
    return parts


def digest(examples: Sequence[Example]) -> str:
    """What the examples are, in whatever order they stand."""
    lines = sorted(f"{one.key} {one.completion}" for one in examples)
    return "sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest()


def num_tokens(chats: Sequence[Mapping[str, Any]]) -> int:
    """About how many tokens chats have, for an estimate before anything is tokenized.

    `chats` are as `Example.chat` gives them.
    """
    texts = [one["content"] for chat in chats for one in chat["messages"]]
    texts += [chat["completion"] for chat in chats]
    return round(sum(map(len, texts)) / CHARS_PER_TOKEN + len(texts) * TOKENS_PER_MESSAGE)


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as exc:
        return _Broken(f"is not JSON ({exc})")


def _checked(numbered: Sequence[tuple[int, Any]], most: int | None) -> list[Example]:
    found: list[Example] = []
    broken: list[tuple[int, str]] = []
    for number, value in numbered:
        one = _example(value, number)
        if isinstance(one, Example):
            found.append(one)
        else:
            broken.append((number, one))
    broken += _contradictions(found)
    broken += _of_another_kind(found)
    if broken:
        raise InvalidRequest(f"{lines.told(broken)}. An example is {_FORMS}", param="data")
    if len(found) < FEWEST:
        raise InvalidRequest(
            f"there are {len(found)} examples; at least {FEWEST} are needed", param="data"
        )
    return _sampled(found, most)


def _example(value: Any, place: int) -> Example | str:
    """The example that a line is, or what is wrong with it."""
    if isinstance(value, _Broken):
        return value
    if not isinstance(value, dict):
        return "is no object"
    readers: Sequence[tuple[tuple[str, ...], Callable[[Mapping[str, Any], int], Example | str]]] = (
        (("messages",), _chat),
        (("text", "label"), _classified_or_not),
        (_ASKED, _instruction),
    )
    for names, reader in readers:
        if any(name in value for name in names):
            return reader(value, place)
    return f"has none of the fields of an example, but {', '.join(map(repr, value)) or 'nothing'}"


def _chat(value: Mapping[str, Any], place: int) -> Example | str:
    messages = value["messages"]
    if not isinstance(messages, list) or len(messages) < 2:
        return "has a chat of fewer than two messages"
    for one in messages:
        is_whole = isinstance(one, dict) and isinstance(one.get("content"), str)
        if not is_whole or one.get("role") not in ROLES:
            return f"has a message that is no role ({', '.join(ROLES)}) with its content"
    if messages[-1]["role"] != "assistant" or not messages[-1]["content"].strip():
        return "has a chat that does not end with what the assistant says"
    told = tuple({"role": one["role"], "content": one["content"]} for one in messages)
    return Example("chat", told[:-1], told[-1]["content"], place)


def _instruction(value: Mapping[str, Any], place: int) -> Example | str:
    asked, about, answered = (_first(value, names) for names in (_ASKED, _ABOUT, _ANSWERED))
    if not asked.strip():
        return "has an empty prompt"
    if not answered.strip():
        return f"has no {' or '.join(_ANSWERED)}"
    told = f"{asked}\n\n{about}" if about else asked
    return Example("instruction", ({"role": "user", "content": told},), answered, place)


def _classified_or_not(value: Mapping[str, Any], place: int) -> Example | str:
    for name in ("text", "label"):
        if not isinstance(value.get(name), str) or not value[name].strip():
            return f"has no {name}"
    return _classified(value, place)


def _classified(value: Mapping[str, Any], place: int) -> Example:
    asked = ({"role": "user", "content": value["text"]},)
    return Example("classification", asked, value["label"], place)


def _first(value: Mapping[str, Any], names: Sequence[str]) -> str:
    told = next((value[name] for name in names if name in value), "")
    return told if isinstance(told, str) else ""


def _contradictions(examples: Sequence[Example]) -> Iterator[tuple[int, str]]:
    """The same text with two classes teaches nothing."""
    seen: dict[str, Example] = {}
    for one in examples:
        before = seen.setdefault(one.key, one)
        if one.kind == "classification" and before.label != one.label:
            yield (
                one.place,
                f"says '{one.label}' of the text of line {before.place}, "
                f"which says '{before.label}'",
            )


def _of_another_kind(examples: Sequence[Example]) -> Iterator[tuple[int, str]]:
    """Those that are not what most are: a file has one kind."""
    kinds = Counter(one.kind for one in examples).most_common(1)
    for one in examples:
        if one.kind != kinds[0][0]:
            yield one.place, f"is of the kind {one.kind}, and most lines are of {kinds[0][0]}"


def _sampled(examples: list[Example], most: int | None) -> list[Example]:
    """So many of them, by hash, so that the sample does not depend on their order."""
    _check_classes(examples, labels(examples))
    if most is None or len(examples) <= most:
        return examples
    sample = sorted(examples, key=lambda one: one.key)[:most]
    _check_classes(sample, labels(examples), of_sample=" of the sample")
    return sample


def _check_classes(
    examples: Sequence[Example], classes: Sequence[str], of_sample: str = ""
) -> None:
    counts = Counter(one.label for one in examples)
    if len(classes) == 1:
        raise InvalidRequest("all examples are of one class; at least two are needed", param="data")
    rare = next((label for label in classes if counts[label] < 2), None)
    if rare is not None:
        raise InvalidRequest(
            f"class '{rare}' has {counts[rare]} of the {len(examples):,} examples{of_sample}; "
            f"each class needs two or more{', so raise max_examples' if of_sample else ''}",
            param="max_examples" if of_sample else "data",
        )


def _share(key: str, seed: int) -> float:
    told = hashlib.sha256(f"{seed} {key}".encode()).digest()
    return int.from_bytes(told[:8], "big") / 2**64
