"""Sources: how they are written, and the names they suggest."""

from pathlib import Path

import pytest

from canteen.core.errors import InvalidRequest
from canteen.core.model import full_name
from canteen.runtime.sources import (
    BuiltinSource,
    FileSource,
    HubSource,
    PypiSource,
    is_source,
    parse,
)


@pytest.mark.parametrize(
    ("text", "source", "name"),
    [
        ("pypi:a-b==1.0#x/y.gguf", PypiSource("a-b", "1.0", "x/y.gguf"), "a-b:1.0"),
        ("pypi:a==1!2+cpu#model/", PypiSource("a", "1!2+cpu", "model/"), "a:1-2-cpu"),
        ("hf:org/repo", HubSource("org/repo", ""), "org/repo:latest"),
        ("hf:org/repo:main", HubSource("org/repo", "main"), "org/repo:main"),
        ("hf:org/repo:q/m.gguf", HubSource("org/repo", "q/m.gguf"), "org/repo:m.gguf"),
        ("file:/x/my model.gguf", FileSource(Path("/x/my model.gguf")), "my-model:latest"),
        ("builtin:echo", BuiltinSource("echo"), "echo:latest"),
    ],
)
def test_a_source_is_read_and_suggests_a_name(text: str, source: object, name: str) -> None:
    parsed = parse(text)

    assert is_source(text)
    assert parsed == source
    assert full_name(parsed.suggested_name) == name


@pytest.mark.parametrize(
    "text",
    [
        "pypi:a#x",
        "pypi:a==1",
        "pypi:--index-url==1#x",
        "pypi:a==1#../x",
        "pypi:a==1#/x",
        "hf:repo",
        "hf:../..",
        "hf:a/b/c",
        "hf:a/b:",
        "file:",
        "builtin:x",
        "ftp:x",
    ],
)
def test_what_is_no_source_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(InvalidRequest, match="pypi:PACKAGE==VERSION#path"):
        parse(text)


def test_a_plain_name_is_no_source() -> None:
    assert not is_source("smollm2:135m")
