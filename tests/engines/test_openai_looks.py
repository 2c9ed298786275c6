"""How an upstream is found to be, by the routes that it has."""

from collections.abc import Callable

import httpx
import pytest

from canteen.core.upstream import Upstream
from canteen.engines.openai import Client
from canteen.engines.openai_looks import Lookout

METRICS = """# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{model_name="a",engine="0"} 3.0
vllm:num_requests_running{model_name="b {x}",engine="0"} 1.0
vllm:num_requests_waiting{model_name="a",engine="0"} 2.0
vllm:num_requests_waiting_by_reason{model_name="a"} 9.0
"""
Answers = dict[str, int | str]


def lookout(answers: Answers, asked: list[str] | None = None) -> Lookout:
    """Of an upstream that answers so, by path, and knows no other paths."""

    def answer(request: httpx.Request) -> httpx.Response:
        if asked is not None:
            asked.append(request.url.path)
        told = answers.get(request.url.path, 404)
        if isinstance(told, int):
            return httpx.Response(told)
        return httpx.Response(200, text=told)

    return looking_by(answer)


def looking_by(answer: Callable[[httpx.Request], httpx.Response]) -> Lookout:
    where = Upstream("http://there/v1", "m")
    return Lookout(where, Client(where, lambda: "sk-1", httpx.MockTransport(answer)))


async def test_a_canteen_says_what_it_has_to_do() -> None:
    assert await lookout({"/health/ready": 200, "/metrics": METRICS}).look() == 6


@pytest.mark.parametrize("path", ["/health", "/v1/models"])
async def test_another_service_is_asked_where_it_can_answer_and_no_more_elsewhere(
    path: str,
) -> None:
    asked: list[str] = []
    there = lookout({path: 200}, asked)

    loads = [await there.look() for _ in range(2)]

    assert loads == [0, 0]
    assert asked[-2:] == [path, "/metrics"]
    assert asked.count("/health/ready") == 1


@pytest.mark.parametrize("status", [500, 503])
async def test_who_says_that_it_is_not_ready_takes_no_requests(status: int) -> None:
    assert await lookout({"/health/ready": status, "/metrics": METRICS}).look() is None


async def test_who_tells_strangers_no_figures_may_be_asked_all_the_same() -> None:
    assert await lookout({"/health/ready": 200, "/metrics": 401}).look() == 0


async def test_who_cannot_be_reached_takes_no_requests() -> None:
    def unreachable(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody there")

    assert await looking_by(unreachable).look() is None


async def test_figures_that_make_no_sense_are_none() -> None:
    nonsense = "vllm:num_requests_running many\n"

    assert await lookout({"/health/ready": 200, "/metrics": nonsense}).look() == 0


async def test_it_is_asked_with_the_models_key() -> None:
    keys = list[str]()

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers["authorization"])
        return httpx.Response(200)

    await looking_by(answer).look()

    assert set(keys) == {"Bearer sk-1"}
