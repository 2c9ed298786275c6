"""Models of upstreams and chains through the services, against a stand-in that fails on purpose."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from canteen.bootstrap import Services, build
from canteen.bootstrap.upstreams import prices
from canteen.core.engine import fold
from canteen.core.errors import (
    DeadlineExceeded,
    InvalidRequest,
    NotSupported,
    Overloaded,
    UpstreamFailed,
)
from canteen.core.generation import (
    Completion,
    EmbeddingRequest,
    GenerationRequest,
    Message,
    ScorePrompt,
    ScoreRequest,
)
from canteen.core.upstream import Upstream
from canteen.runtime import remote
from canteen.settings import Settings
from tests.upstream import StandIn, breaks_off, hangs_up, refuses, says, stalls, stand_in, tells

# Of who is asked of one that stalls; nobody else's is to end before the test does.
PATIENCE_S = 1.0


@pytest.fixture
async def services(echo_home: Path) -> AsyncIterator[Services]:
    """With the echo models, and room for upstreams."""
    made = build(replace(Settings(), home=echo_home, default_model="echo"))
    yield made
    await made.close()


@asynccontextmanager
async def upstream(
    services: Services, name: str = "upstream:a", patience_s: float = 60.0
) -> AsyncIterator[StandIn]:
    """A stand-in that is a model of the store."""
    async with stand_in() as made:
        where = Upstream(made.base_url, "m", patience_s=patience_s)
        services.catalog.put(remote.upstream_card(name, where))
        yield made


def ask(model: str = "upstream:a", within_s: float | None = None) -> GenerationRequest:
    deadline_s = None if within_s is None else time.monotonic() + within_s
    messages = (Message("user", "who is Oppenheimer"),)
    return GenerationRequest("r", model, messages=messages, deadline_s=deadline_s)


async def answer(services: Services, request: GenerationRequest) -> Completion:
    return await fold(services.generate(request))


def chain(services: Services, *members: str) -> None:
    source = "chain:" + ",".join(members)
    services.catalog.put(remote.chain_card(services.catalog, "big", source))


async def test_an_upstream_answers_like_any_model(services: Services) -> None:
    async with upstream(services) as there:
        said = await answer(services, ask())

    assert said.text == "one two"
    assert (said.usage.prompt_tokens, said.usage.completion_tokens) == (7, 2)
    assert there.asked[0].body["messages"] == [{"role": "user", "content": "who is Oppenheimer"}]
    assert there.asked[0].body["model"] == "m"


async def test_its_deadline_is_told_less_a_margin(services: Services) -> None:
    async with upstream(services) as there:
        await answer(services, ask(within_s=20.0))

    assert 15.0 < float(there.asked[0].headers["x-request-timeout"]) < 19.9


@pytest.mark.parametrize("status", [429, 503])
async def test_who_says_when_to_come_back_is_asked_again_then(
    services: Services, status: int
) -> None:
    async with upstream(services) as there:
        there.script = [refuses(status, retry_after_ms="50")]

        said = await answer(services, ask())

    assert said.text == "one two"
    assert len(there.asked) == 2


async def test_nobody_waits_for_what_comes_after_the_deadline(services: Services) -> None:
    async with upstream(services) as there:
        there.script = [refuses(429, retry_after="30")]

        with pytest.raises(Overloaded) as caught:
            await answer(services, ask(within_s=20.0))

    assert caught.value.retry_after_s == 30
    assert len(there.asked) == 1


async def test_another_of_the_chain_answers_before_the_first_byte(services: Services) -> None:
    async with (
        upstream(services, patience_s=PATIENCE_S) as first,
        upstream(services, "upstream:b") as second,
    ):
        chain(services, "upstream:a", "upstream:b", "echo")
        for failing in (refuses(500), refuses(401), stalls(), hangs_up, breaks_off(), refuses(429)):
            first.script, second.script = [failing], [says("second")]

            said = await answer(services, ask("big"))

            assert said.text == "second"
        first.script, second.script = [refuses(500)], [refuses(500)]
        assert (await answer(services, ask("big"))).text == "who is Oppenheimer"


async def test_an_answer_cut_after_its_first_byte_ends_in_an_error(services: Services) -> None:
    async with (
        upstream(services, patience_s=PATIENCE_S) as first,
        upstream(services, "upstream:b") as second,
    ):
        chain(services, "upstream:a", "upstream:b")
        for failing in (breaks_off("one"), stalls("one")):
            first.script = [failing]
            chunks = services.generate(ask("big"))

            first_chunk = await anext(chunks)
            with pytest.raises(UpstreamFailed):
                await anext(chunks)

            assert first_chunk.text == "one"
    assert not second.asked


async def test_a_silent_upstream_costs_no_more_than_the_deadline(services: Services) -> None:
    async with upstream(services) as there:
        there.script = [stalls()]
        await services.load("upstream:a")

        with pytest.raises(DeadlineExceeded):
            await answer(services, ask(within_s=0.1))


async def test_a_caller_who_leaves_hangs_up(services: Services) -> None:
    async with upstream(services) as there:
        there.script = [stalls("one")]
        chunks = services.generate(ask())
        await anext(chunks)

        await chunks.aclose()

        async with asyncio.timeout(5):
            await there.is_hung_up_on.wait()


async def test_what_the_upstream_cannot_take_is_the_callers_to_mend(services: Services) -> None:
    async with upstream(services) as there:
        there.script = [refuses(400, {"message": "no such word", "param": "top_k"})]

        with pytest.raises(InvalidRequest, match="no such word") as caught:
            await answer(services, ask())

    assert caught.value.param == "top_k"
    assert len(there.asked) == 1


async def test_an_upstream_that_fails_is_left_alone_and_probed_with_a_word_of_nobodys(
    services: Services,
) -> None:
    async with upstream(services) as there:
        there.script = [refuses(500)] * 5
        for _ in range(5):
            with pytest.raises(UpstreamFailed):
                await answer(services, ask())

        with pytest.raises(Overloaded) as caught:
            await answer(services, ask())

        assert caught.value.code == "circuit_open"
        assert len(there.asked) == 5
        (loaded,) = await services.loaded()
        assert loaded.state == "circuit_open"


async def test_embeddings_fall_back_too(services: Services) -> None:
    async with stand_in(refuses(500)) as there:
        where = Upstream(there.base_url, "m")
        services.catalog.put(remote.upstream_card("upstream:e", where, "embedder"))
        source = "chain:upstream:e,echo-embed"
        services.catalog.put(remote.chain_card(services.catalog, "vectors", source))
        request = EmbeddingRequest("r", "vectors", ("a text",))

        made = await services.embed(request)

        there.script = [tells({"data": [{"index": 0, "embedding": [0.0, 2.0]}]})]
        theirs = await services.embed(replace(request, id="again"))

    assert len(made.vectors[0]) == 64
    assert theirs.vectors == ((0.0, 1.0),)


async def test_what_no_upstream_can_is_asked_of_the_model_of_this_machine(
    services: Services,
) -> None:
    prompt = ScorePrompt((Message("user", "good"),), ("good", "bad"))
    async with upstream(services) as there:
        chain(services, "upstream:a", "echo")

        scores = await services.score(ScoreRequest("r", "big", (prompt,)))
        with pytest.raises(NotSupported):
            await services.score(ScoreRequest("s", "upstream:a", (prompt,)))

    good, bad = scores.logprobs[0]
    assert good > bad
    assert not there.asked


async def test_a_chain_goes_on_without_what_was_removed(services: Services) -> None:
    async with upstream(services) as there:
        chain(services, "upstream:a", "echo")
        services.catalog.remove("upstream:a")

        said = await answer(services, ask("big"))

    assert said.text == "who is Oppenheimer"
    assert not there.asked


async def test_prompts_go_to_no_upstream_that_nobody_named(services: Services) -> None:
    async with upstream(services) as there:
        await answer(services, ask("echo"))
        await services.warm_up()

    assert not there.asked


async def test_the_receipt_tells_who_answered_and_what_it_cost(services: Services) -> None:
    async with upstream(services) as first, stand_in() as second:
        priced = Upstream(second.base_url, "m", price_in=2.0, price_out=8.0)
        services.catalog.put(remote.upstream_card("upstream:b", priced))
        chain(services, "upstream:a", "upstream:b")
        first.script = [refuses(500)]

        await answer(services, replace(ask("big"), receipt_id="rcpt_1"))

    receipt = services.till.settle("rcpt_1")
    assert receipt is not None
    assert (receipt.model, receipt.asked) == ("upstream:b", "big:latest")
    assert receipt.charge.energy_uj == 0
    cost = receipt.footprint.cost
    assert cost is not None
    assert cost.central == pytest.approx((7 * 2.0 + 2 * 8.0) / 1e6)


def test_a_price_that_nobody_sets_is_that_of_the_public_list() -> None:
    where = Upstream("https://api.openai.com/v1", "gpt-4o-mini")

    told = prices(where, date(2026, 11, 1))

    assert told.read is not None
    assert told.cached is not None
    assert told.written is not None
    assert 0 < told.cached.central < told.read.central < told.written.central


def test_an_unknown_service_has_no_price() -> None:
    assert prices(Upstream("http://127.0.0.1:1/v1", "gpt-4o-mini"), date(2026, 11, 1)).read is None
