"""Exceptions are lines of the log: the same fault has the same fingerprint, and no text is told."""

import json
import logging
from collections.abc import Iterator

import pytest

from canteen.api.exceptions import Exceptions


@pytest.fixture
def lines() -> list[bytes]:
    return []


@pytest.fixture
def logger(lines: list[bytes]) -> Iterator[logging.Logger]:
    made = logging.getLogger("canteen.test_exceptions")
    handler = Exceptions(lines.append)
    made.addHandler(handler)
    made.propagate = False
    yield made
    made.removeHandler(handler)


def fail(kind: type[Exception], text: str) -> None:
    raise kind(text)


def log(logger: logging.Logger, kind: type[Exception], text: str) -> None:
    try:
        fail(kind, text)
    except kind:
        logger.exception("a request failed", extra={"request_id": "r1"})


def test_the_same_fault_has_the_same_fingerprint(
    logger: logging.Logger, lines: list[bytes]
) -> None:
    log(logger, ValueError, "first")
    log(logger, ValueError, "second")
    log(logger, KeyError, "first")

    first, second, other = [json.loads(line) for line in lines]
    assert first["fingerprint"] == second["fingerprint"] != other["fingerprint"]
    assert (first["kind"], first["request_id"]) == ("ValueError", "r1")
    assert first["where"][-1] == "api/test_exceptions.py:fail"


def test_what_an_exception_says_is_not_told(logger: logging.Logger, lines: list[bytes]) -> None:
    log(logger, ValueError, "canary in the mine")

    assert b"canary" not in lines[0]
    assert json.loads(lines[0])["said"] == "a request failed"


def test_what_has_no_traceback_is_no_exception(logger: logging.Logger, lines: list[bytes]) -> None:
    logger.error("the ledger cannot be written")

    assert lines == []
