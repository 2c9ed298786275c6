"""Lines of JSON that the shell is given are texts, or are refused in a line."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from canteen.cli.main import main

Call = Callable[..., Result]
LABELS = ("--label", "water", "--label", "food")


@pytest.fixture
def call(echo_home: Path) -> Call:
    """Runs the program on bytes of standard input, in a home with the echo models."""
    environ = {"CANTEEN_HOME": str(echo_home), "CANTEEN_MODEL": "echo"}

    def run(data: bytes, *words: str) -> Result:
        return CliRunner().invoke(main, words, input=data, env=environ)

    return run


def test_texts_are_read_as_they_come(call: Call) -> None:
    lines = '\ufeff"some food"\r\n\n{"text": "Wasser \u2028 für alle: water"}'

    told = call(lines.encode(), "classify", "--method", "score", *LABELS, "--jsonl", "-")

    assert told.exit_code == 0, told.stderr
    assert ['"label": "food"' in line for line in told.stdout.splitlines()] == [True, False]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'"a"\n"\xff"', "line 2 is not UTF-8"),
        (b"[" * 100_000, "line 1 is not JSON"),
        (b'\n{"text": ', "line 2 is not JSON"),
        (b'{"text": null}', "line 1 is neither"),
        (b'{"text": 7}', "line 1 is neither"),
        (b'"a"\n["a"]', "line 2 is neither"),
        (b"null", "line 1 is neither"),
    ],
)
def test_what_is_no_text_is_refused_by_its_line(call: Call, data: bytes, said: str) -> None:
    told = call(data, "classify", *LABELS, "--jsonl", "-")

    assert told.exit_code == 1
    assert said in told.stderr


@pytest.mark.parametrize("option", ["--calibrate", "--train"])
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"text": "a", "label": "b"}\n"\xff"', "line 2 is not UTF-8"),
        (b"[" * 100_000, "line 1 is not JSON"),
        (b'{"text": null, "label": "b"}', "line 1 is no object"),
        (b'{"text": "a", "label": null}', "line 1 is no object"),
        (b'{"text": "a"}', "line 1 is no object"),
        (b'["text", "label"]', "line 1 is no object"),
    ],
)
def test_what_is_no_example_is_refused_by_its_line(
    call: Call, option: str, data: bytes, said: str
) -> None:
    told = call(data, "classify", option, "-")

    assert told.exit_code == 1
    assert said in told.stderr


def test_examples_are_learned_from(call: Call) -> None:
    lines = b'{"text": "a food", "label": "food"}\n{"text": "b water", "label": "water"}\n' * 3

    told = call(lines, "classify", "--calibrate", "-", "--save", "drinks")

    assert told.stdout.startswith("classifier 'drinks': 6 examples, score")
