import pytest

from canteen.api.errors import HttpError, headers_of, problem, shutting_down, status_of
from canteen.core import errors


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InvalidRequest("x"), 400),
        (errors.ContextTooLong(9, 8), 400),
        (errors.ModelUnsuitable("x"), 400),
        (errors.ModelNotFound("x"), 404),
        (errors.Forbidden("x"), 403),
        (errors.NotSupported("x"), 501),
        (errors.Overloaded("x", retry_after_s=1), 503),
        (errors.RateLimited("x", retry_after_s=1), 429),
        (errors.DeadlineExceeded(), 408),
        (errors.EngineError("x"), 500),
        (errors.WorkerDied("x"), 500),
        (errors.InvalidOutput("x"), 500),
        (errors.CanteenError("x"), 500),
        (HttpError(413, "x", code="x"), 413),
    ],
)
def test_every_error_has_its_status(error: errors.CanteenError, status: int) -> None:
    assert status_of(error) == status


def test_an_overloaded_service_says_when_to_come_back_in_whole_seconds_rounded_up() -> None:
    headers = headers_of(errors.Overloaded("x", retry_after_s=1.2))

    assert headers == {
        "retry-after": "2",
        "retry-after-ms": "1200",
        "x-llm-d-request-dropped-reason": "rejected-saturated",
    }


def test_what_will_not_change_by_itself_is_not_to_be_retried() -> None:
    assert headers_of(errors.ContextTooLong(9, 8)) == {"x-should-retry": "false"}


@pytest.mark.parametrize(
    "error", [errors.Overloaded("x", retry_after_s=1, code="draining"), shutting_down()]
)
def test_a_service_that_goes_down_sends_its_clients_elsewhere(error: errors.Overloaded) -> None:
    headers = headers_of(error)

    assert headers["x-should-retry"] == "true"
    assert headers["connection"] == "close"
    assert headers["retry-after"] == "1"


def test_a_problem_is_in_the_shape_of_rfc_9457() -> None:
    body = problem(errors.Overloaded("come back", retry_after_s=0.5), 503)

    assert body == {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "come back",
        "code": "overloaded",
        "retry_after_ms": 500,
    }
