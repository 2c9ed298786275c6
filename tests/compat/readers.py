"""How the clients read a stream: whether, to each of them, it has failed."""

import json
from collections.abc import Iterator


def openai_java(text: str) -> bool:
    """Any frame with a top-level key `error`, null included, is a failure."""
    return any("error" in frame for frame in _frames(text))


def openai_python(text: str) -> bool:
    """A frame whose `error` says something is a failure."""
    return any(frame.get("error") for frame in _frames(text))


def langchain4j(text: str) -> bool:
    """Only the event's name is looked at."""
    return "event: error" in text.splitlines()


def ollama(text: str) -> bool:
    """Each line is JSON, none may be blank, and one with `error` is a failure."""
    return any("error" in json.loads(line) for line in text.removesuffix("\n").split("\n"))


# Who reads what is sent in a dialect.
READERS = {"openai": (openai_java, openai_python, langchain4j), "ollama": (ollama,)}


def _frames(text: str) -> Iterator[dict[str, object]]:
    for line in text.splitlines():
        if line.startswith("data: {"):
            yield json.loads(line.removeprefix("data: "))
