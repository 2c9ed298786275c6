"""Asked for too much, it answers what it can whole and sends the rest away with a word.

Counted in requests and tokens. Holds item 13 of the conformance checklist.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import DEFAULT_MODEL, pull
from tests.e2e.chats import Answer, Chat, ask, asking, until
from tests.serving import Server, set_pace

STEPS_PER_S = 100.0
MAX_NUM_SEQS = 4
NUM_TOKENS = Chat().num_tokens
CAPACITY_PER_S = MAX_NUM_SEQS * STEPS_PER_S / NUM_TOKENS
ENDLESS = Chat(num_tokens=4000)
REFUSALS = {429, 503}
# A machine that stands still for a moment keeps nobody's deadline; what is wrong is so each time.
TRIES = 3

Start = Callable[..., Server]


@pytest.fixture(
    params=["1", pytest.param("2", marks=pytest.mark.slow)],
    ids=["one process", "two that speak HTTP"],
)
def http_processes(request: pytest.FixtureRequest) -> str:
    """How many processes speak HTTP."""
    return str(request.param)


@pytest.fixture
def start(http_processes: str, echo_home: Path, serve: Callable[..., Server]) -> Start:
    """Starts a server of the echo model at a known pace."""
    usual = {"CANTEEN_MAX_NUM_SEQS": str(MAX_NUM_SEQS), "CANTEEN_HTTP_PROCESSES": http_processes}

    def at_pace(**environ: str) -> Server:
        set_pace(echo_home, tokens_per_s=STEPS_PER_S, prefill_tokens_per_s=STEPS_PER_S)
        return serve(echo_home, **usual | environ)

    return at_pace


def connect(server: Server) -> httpx.AsyncClient:
    """A client with as many connections as it likes."""
    limits = httpx.Limits(max_connections=None)
    return httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits)


async def learn_the_pace(client: httpx.AsyncClient) -> None:
    """A prediction needs something to go by."""
    await asyncio.gather(*(ask(client, Chat()) for _ in range(MAX_NUM_SEQS)))


def chats_of(server: Server) -> list[dict[str, Any]]:
    """What the access log says of them."""
    return [record for record in server.records() if record["operation"]]


def waiting(server: Server) -> float:
    return server.metric("vllm:num_requests_waiting")


def says_when_to_return(answer: Answer) -> bool:
    """Whether a refusal has all its headers, and they agree."""
    wait_ms = int(answer.headers["retry-after-ms"])
    return (
        answer.headers["x-llm-d-request-dropped-reason"].startswith("rejected-")
        and int(answer.headers["retry-after"]) == -(-wait_ms // 1000)
        and 0 < wait_ms <= 60_000
    )


async def arriving(client: httpx.AsyncClient, chats: list[Chat], rate: float) -> list[Answer]:
    """The answers to chats that come at random, so many a second."""
    asked = []
    for one in chats:
        asked.append(asyncio.ensure_future(ask(client, one)))
        await asyncio.sleep(random.expovariate(rate))
    return await asyncio.gather(*asked)


def is_as_wanted(answers: list[Answer], records: list[dict[str, Any]], timeout_s: float) -> bool:
    """Whether it went as it has to when three times as much was asked as can be answered, as far
    as that is a matter of time."""
    whole = [answer for answer in answers if answer.status == 200 and answer.is_whole]
    refused = [answer for answer in answers if answer.status in REFUSALS]
    expired = [answer for answer in answers if answer not in whole and answer not in refused]
    assert all(says_when_to_return(answer) for answer in refused)
    assert all(answer.error_code == "deadline_exceeded" for answer in expired)
    prefilled = [record for record in records if record["completion_tokens"]]
    assert len(prefilled) == sum(answer.num_tokens > 0 for answer in answers)
    # A third can be answered, and hardly anything is begun that is for nobody.
    return (
        len(whole) >= len(answers) / 5
        and len(refused) >= len(answers) / 5
        and len(expired) <= len(answers) / 20
        and all(record["ttft_ms"] < timeout_s * 1000 for record in prefilled)
    )


async def went_as_wanted(
    server: Server, client: httpx.AsyncClient, chats: list[Chat], rate: float, timeout_s: float
) -> list[Answer]:
    """The answers to chats that come at such a rate, which must have gone as wanted once."""
    for _ in range(TRIES):
        num_before = len(chats_of(server))
        answers = await arriving(client, chats, rate)
        await until(lambda num=num_before: len(chats_of(server)) == num + len(chats))  # type: ignore[misc]
        if is_as_wanted(answers, chats_of(server)[num_before:], timeout_s):
            return answers
    raise AssertionError(f"it never went as wanted: {Counter(one.status for one in answers)}")


@pytest.mark.parametrize(
    "http_processes", ["1", "2"], ids=["one process", "two that speak HTTP"], indirect=True
)
async def test_under_overload_nobody_is_prefilled_in_vain(start: Start) -> None:
    server = start()
    timeout_s = 1.0
    hurried = [Chat(headers={"X-Request-Timeout": str(timeout_s)})] * 240
    async with connect(server) as client:
        await learn_the_pace(client)
        await until(lambda: len(chats_of(server)) == MAX_NUM_SEQS)
        answers = await went_as_wanted(server, client, hurried, 3 * CAPACITY_PER_S, timeout_s)

    whole = [answer for answer in answers if answer.status == 200 and answer.is_whole]
    assert all(answer.num_tokens == NUM_TOKENS for answer in whole)


@pytest.mark.slow
async def test_under_overload_the_default_model_prefills_nobody_in_vain(
    model_home_copy: Path, serve: Callable[..., Server]
) -> None:
    server = serve(model_home_copy, CANTEEN_MAX_NUM_SEQS="8")
    timeout_s, num_seconds = 2.0, 5
    asked = Chat(model=DEFAULT_MODEL, num_tokens=24)
    async with connect(server) as client:
        began_s = time.monotonic()
        met = await asyncio.gather(*(ask(client, asked) for _ in range(24)))
        capacity_per_s = len(met) / (time.monotonic() - began_s)
        hurried = [replace(asked, headers={"X-Request-Timeout": str(timeout_s)})]
        hurried *= int(3 * capacity_per_s * num_seconds)
        await until(lambda: len(chats_of(server)) == len(met))
        await went_as_wanted(server, client, hurried, 3 * capacity_per_s, timeout_s)


async def test_a_deadline_that_cannot_be_met_is_refused_at_once(start: Start) -> None:
    server = start(CANTEEN_MAX_NUM_SEQS="1")
    async with connect(server) as client, AsyncExitStack() as busy:
        # So long an answer is expected to be from here on.
        await ask(client, Chat(num_tokens=200))
        # Two seconds of each of those that wait, whatever has become of the first meanwhile.
        for _ in range(1 + 4):
            await busy.enter_async_context(asking(client, ENDLESS))
        await until(lambda: waiting(server) == 4)

        refused = await ask(client, Chat(headers={"X-Stainless-Timeout": "0.5"}))

        # Who had waited for the end of its time would have been told of that.
        assert (refused.status, refused.error_code) == (503, "overloaded")
        assert says_when_to_return(refused)
        assert waiting(server) == 4


async def test_no_work_runs_past_its_deadline(start: Start) -> None:
    server = start()
    # On a slow machine, too, there is a token before it is over.
    timeout_s = 3.0
    async with connect(server) as client:
        hurried = replace(ENDLESS, headers={"X-Stainless-Timeout": str(timeout_s)})
        streamed = await ask(client, hurried)
        whole = await ask(client, replace(hurried, is_streamed=False))

        assert (streamed.status, streamed.error_code) == (200, "deadline_exceeded")
        assert (whole.status, whole.error_code) == (408, "deadline_exceeded")
        # As many as there are steps in the time, and those of a moment in which nobody got round
        # to ending it; without an end there would be 4000.
        assert 0 < streamed.num_tokens <= 2 * timeout_s * STEPS_PER_S
        assert server.metric("vllm:num_requests_running") == 0


async def test_who_waits_beyond_its_deadline_is_dropped_unread(start: Start) -> None:
    server = start(CANTEEN_MAX_NUM_SEQS="1")
    async with connect(server) as client, AsyncExitStack() as busy:
        # Nothing is known of the pace yet, so nothing speaks against waiting.
        clock = await busy.enter_async_context(asking(client, ENDLESS))
        await until(lambda: clock.num_tokens > 0)

        dropped = await ask(
            client, Chat(headers={"X-Request-Timeout": "0.3", "X-Request-Id": "late"})
        )
        await until(lambda: any(one["request_id"] == "late" for one in server.records()))

    assert (dropped.status, dropped.error_code) == (408, "deadline_exceeded")
    assert dropped.headers["x-llm-d-request-dropped-reason"] == "rejected-ttl-expired"
    (record,) = [one for one in server.records() if one["request_id"] == "late"]
    assert (record["prompt_tokens"], record["completion_tokens"]) == (0, 0)


async def test_a_retry_is_shed_before_who_asks_for_the_first_time(start: Start) -> None:
    server = start(CANTEEN_MAX_NUM_SEQS="1", CANTEEN_MAX_QUEUE="8")
    async with connect(server) as client, AsyncExitStack() as busy:
        for _ in range(1 + 4):
            await busy.enter_async_context(asking(client, ENDLESS))
        await until(lambda: waiting(server) == 4)

        retry = await ask(client, Chat(headers={"X-Stainless-Retry-Count": "1"}))
        await busy.enter_async_context(asking(client, Chat()))
        await until(lambda: waiting(server) == 5)

    assert (retry.status, retry.error_code) == (503, "overloaded")
    assert says_when_to_return(retry)


@dataclass
class SpringAi:
    """A caller as Spring AI 2.x is by default, with its minute made a second: up to four
    attempts, each of at most that long, and between two the time that it was told."""

    client: httpx.AsyncClient
    num_attempts: int = 0
    num_refused_retries: int = 0
    timeout_s: float = 1.0

    async def ask(self) -> Answer | None:
        """The answer, None when all attempts have failed."""
        for attempt in range(4):
            self.num_attempts += 1
            headers = {
                "X-Stainless-Timeout": str(self.timeout_s),
                "X-Stainless-Retry-Count": str(attempt),
            }
            answer = Answer()
            with suppress(TimeoutError):
                async with asyncio.timeout(self.timeout_s):
                    await ask(self.client, Chat(headers=headers), answer)
                if answer.status == 200 and answer.is_whole:
                    return answer
            self.num_refused_retries += attempt > 0 and answer.status == 503
            await asyncio.sleep(float(answer.headers.get("retry-after-ms", 100)) / 1000)
        return None


async def test_a_storm_of_retries_passes(start: Start) -> None:
    server = start()
    num_callers = 160
    async with connect(server) as client:
        await learn_the_pace(client)
        callers = [SpringAi(client) for _ in range(num_callers)]
        asked = []
        for caller in callers:
            asked.append(asyncio.ensure_future(caller.ask()))
            await asyncio.sleep(random.expovariate(2 * CAPACITY_PER_S))
        answers = await asyncio.gather(*asked)
        await until(lambda: server.metric("vllm:num_requests_running") == 0)
        after = await ask(client, Chat())

    num_answered = sum(answer is not None for answer in answers)
    num_attempts = sum(caller.num_attempts for caller in callers)
    num_generated = server.metric("vllm:generation_tokens_total")
    assert num_attempts > num_callers
    assert num_answered >= num_callers * 3 / 4
    # Next to nothing is generated for an attempt that its caller gives up.
    assert server.metric("llm_tokens_wasted_total") <= num_generated / 10
    # What is given up before it is read is counted nowhere.
    num_refused = sum(caller.num_refused_retries for caller in callers)
    num_counted = server.metric("llm_retry_requests_total")
    assert 0 < num_refused <= num_counted <= num_attempts - num_callers
    assert after.is_whole


async def test_a_bulk_caller_does_not_starve_a_chat(start: Start) -> None:
    server = start(CANTEEN_MAX_NUM_SEQS="2")
    bulk = [Answer() for _ in range(200)]
    async with connect(server) as client, AsyncExitStack() as busy:
        for answer in bulk:
            asked = Chat(num_tokens=50, headers={"Authorization": "Bearer bulk"})
            await busy.enter_async_context(asking(client, asked, answer))
        await until(lambda: waiting(server) >= 150)

        chatted = await ask(client, Chat(headers={"Authorization": "Bearer chat"}))
        num_served = sum(answer.num_tokens == 50 for answer in bulk)
    assert chatted.is_whole
    assert num_served < len(bulk) / 2


async def test_of_one_caller_batch_work_yields_to_a_chat(start: Start) -> None:
    server = start(CANTEEN_MAX_NUM_SEQS="2")
    batch = [Answer() for _ in range(100)]
    async with connect(server) as client, AsyncExitStack() as busy:
        for answer in batch:
            asked = Chat(num_tokens=50, headers={"X-Canteen-Priority": "batch"})
            await busy.enter_async_context(asking(client, asked, answer))
        await until(lambda: waiting(server) >= 80)
        before = sum(answer.num_tokens == 50 for answer in batch)

        chatted = await ask(client, Chat())
        num_served = sum(answer.num_tokens == 50 for answer in batch) - before
    assert chatted.is_whole
    # Those of a moment in which nobody looked, too; who does not yield lets all go first.
    assert num_served <= 40


async def test_a_full_queue_sends_away_the_last_of_who_has_most_in_it(start: Start) -> None:
    server = start(CANTEEN_MAX_NUM_SEQS="1", CANTEEN_MAX_QUEUE="8")
    bulk = [Answer() for _ in range(1 + 8)]
    async with connect(server) as client, AsyncExitStack() as busy:
        for answer in bulk:
            asked = replace(ENDLESS, headers={"Authorization": "Bearer bulk"})
            await busy.enter_async_context(asking(client, asked, answer))
        await until(lambda: waiting(server) == 8)
        await busy.enter_async_context(
            asking(client, Chat(headers={"Authorization": "Bearer chat"}))
        )
        await until(lambda: any(answer.lines and answer.status == 429 for answer in bulk))

        assert waiting(server) == 8

    (dropped,) = [answer for answer in bulk if answer.status == 429]
    assert dropped.error_code == "rate_limit_exceeded"
    assert says_when_to_return(dropped)


@pytest.fixture
def with_a_cold_model(model_home_copy: Path, serve: Callable[..., Server]) -> Server:
    """A server whose default is echo, and which has the real model on its disk."""
    return serve(pull(model_home_copy, "echo"), CANTEEN_MODEL="echo")


async def test_a_cold_model_is_503_for_who_cannot_wait_and_loaded_once_for_the_others(
    with_a_cold_model: Server,
) -> None:
    server = with_a_cold_model
    cold = Chat(model=DEFAULT_MODEL)
    async with connect(server) as client:
        impatient = await ask(client, replace(cold, headers={"X-Request-Timeout": "0.2"}))
        patient = await asyncio.gather(*(ask(client, cold) for _ in range(3)))

    assert (impatient.status, impatient.error_code) == (503, "model_loading")
    assert says_when_to_return(impatient)
    assert all(answer.is_whole for answer in patient)
    assert len(server.worker_pids()) == 2
