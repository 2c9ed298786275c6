"""Requests made of the OpenAPI document, as it allows them and as it does not."""

from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode

from canteen.api.dialects import DIALECTS
from canteen.api.documenting import describe
from canteen.core.version import VERSION
from tests.robustness.answers import problem_with
from tests.robustness.document import ends_a_worker, narrowed, operations
from tests.serving import Server

NUM_CASES = 12
NUM_CASES_SLOW = 500
WITHIN_S = 30

DOCUMENT = narrowed(describe(DIALECTS, VERSION))
API = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = [pytest.param(*one, id=" ".join(reversed(one))) for one in operations(DOCUMENT)]


def ask(server: Server, path: str, method: str, mode: GenerationMode, num_cases: int) -> None:
    """Put `num_cases` requests to an operation, the same ones at every run."""
    problems: list[str] = []
    with requests.Session() as session:

        @settings(
            max_examples=num_cases,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(API[path][method].as_strategy(generation_mode=mode))
        def one(case: "Case[Any]") -> None:
            if ends_a_worker(case.body):
                return
            answer = case.call(base_url=server.url, session=session, timeout=WITHIN_S)
            headers = {name: values[0] for name, values in answer.headers.items()}
            problem = problem_with(answer.status_code, headers, answer.content, path, method)
            if problem:
                problems.append(f"{problem}\n  asked: {_shown(case)}")

        one()
    assert problems == []


def _shown(case: "Case[Any]") -> Any:
    return case.body if case.method != "GET" else case.formatted_path


def has_negatives(path: str, method: str) -> bool:
    """Whether a request can be unlike the document: those without a body or parameter cannot."""
    return "requestBody" in DOCUMENT["paths"][path][method.lower()]


NEGATIVES = [one for one in OPERATIONS if has_negatives(*map(str, one.values))]


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_what_the_document_allows_is_answered_or_refused(
    target: Server, path: str, method: str
) -> None:
    ask(target, path, method, GenerationMode.POSITIVE, NUM_CASES)


@pytest.mark.parametrize(("path", "method"), NEGATIVES)
def test_what_the_document_does_not_allow_is_answered_or_refused(
    target: Server, path: str, method: str
) -> None:
    ask(target, path, method, GenerationMode.NEGATIVE, NUM_CASES)


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize(("path", "method"), NEGATIVES)
def test_ten_thousand_requests_are_answered_or_refused(
    target: Server, path: str, method: str, mode: GenerationMode
) -> None:
    ask(target, path, method, mode, NUM_CASES_SLOW)
