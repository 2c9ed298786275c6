"""Pools of equal upstreams through the services, against stand-ins that fail on purpose."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from canteen.bootstrap import Services, build
from canteen.core.errors import InvalidRequest, Overloaded, UpstreamFailed
from canteen.core.generation import EmbeddingRequest
from canteen.core.upstream import Upstream
from canteen.runtime import remote
from canteen.settings import Settings
from tests.e2e.chats import until
from tests.test_upstreams import PATIENCE_S, answer, ask
from tests.upstream import StandIn, breaks_off, hangs_up, refuses, stalls, stand_in, tells


@pytest.fixture
async def services(echo_home: Path) -> AsyncIterator[Services]:
    made = build(replace(Settings(), home=echo_home, default_model="echo"))
    yield made
    await made.close()


@pytest.fixture
async def members(services: Services) -> AsyncIterator[list[StandIn]]:
    """Two stand-ins that are the pool `big`."""
    async with AsyncExitStack() as stack:
        made = [await stack.enter_async_context(stand_in()) for _ in range(2)]
        pool(services, made)
        yield made


def pool(
    services: Services,
    members: Sequence[StandIn],
    kind: remote.Kind = "generator",
    patience_s: float = 60.0,
) -> None:
    names = list[str]()
    for member in members:
        where = Upstream(member.base_url, "m", patience_s=patience_s)
        names.append(f"upstream:{member.port}")
        services.catalog.put(remote.upstream_card(names[-1], where, kind))
    card = remote.pool_card(services.catalog, "big", "pool:" + ",".join(names))
    services.catalog.put(card)


async def test_the_next_one_answers_before_the_first_byte(
    services: Services, members: list[StandIn]
) -> None:
    pool(services, members, patience_s=PATIENCE_S)
    for failing in (refuses(500), refuses(429), stalls(), hangs_up, breaks_off()):
        for member in members:
            member.asked.clear()
            member.script = [failing]
        # Whoever is asked first fails.
        (await first_asked(services, members)).script.clear()

        assert (await answer(services, ask("big"))).text == "one two"


async def first_asked(services: Services, members: list[StandIn]) -> StandIn:
    """Another than the one that a request goes to first."""
    order = services.upstreams.balance.ordered(
        remote.members_of(services.catalog, services.catalog.get("big")), ask("big")
    )
    return next(one for one in members if not order[0].name.startswith(f"upstream:{one.port}"))


async def test_nobody_answers_the_half_of_another(
    services: Services, members: list[StandIn]
) -> None:
    for member in members:
        member.script = [breaks_off("one")]
    chunks = services.generate(ask("big"))

    await anext(chunks)
    with pytest.raises(UpstreamFailed):
        await anext(chunks)

    assert sum(len(member.asked) for member in members) == 1


async def test_a_wrong_request_is_wrong_for_all(services: Services, members: list[StandIn]) -> None:
    for member in members:
        member.script = [refuses(400, {"message": "no such word"})]

    with pytest.raises(InvalidRequest, match="no such word"):
        await answer(services, ask("big"))

    assert sum(len(member.asked) for member in members) == 1


async def test_where_all_are_busy_the_soonest_wait_is_told(
    services: Services, members: list[StandIn]
) -> None:
    for member, wait in zip(members, ("40", "30"), strict=True):
        member.script = [refuses(429, retry_after=wait)]

    with pytest.raises(Overloaded) as caught:
        await answer(services, ask("big", within_s=20.0))

    assert caught.value.retry_after_s == 30


async def test_one_that_says_it_is_not_ready_gets_nothing(
    services: Services, members: list[StandIn]
) -> None:
    out, left = members
    out.health = 503
    await answer(services, ask("big"))
    down = f'canteen_upstream_up{{model="upstream:{out.port}"}} 0.0'
    await until(lambda: down in services.metrics.text().decode())
    out.asked.clear()

    for _ in range(8):
        await answer(services, ask("big"))

    assert not out.asked
    assert left.asked


async def test_nobody_is_looked_at_while_nobody_asks(
    services: Services, members: list[StandIn]
) -> None:
    await answer(services, ask("echo"))
    await services.warm_up()

    assert not any(member.num_looks for member in members)


async def test_embeddings_are_shared_too(services: Services) -> None:
    vectors = tells({"data": [{"index": 0, "embedding": [0.0, 2.0]}]})
    async with stand_in(vectors) as first, stand_in(vectors) as second:
        pool(services, [first, second], "embedder")

        for number in range(24):
            await services.embed(EmbeddingRequest(str(number), "big", ("a text",)))

    assert first.asked
    assert second.asked


async def test_the_receipt_tells_the_member_and_the_pool(
    services: Services, members: list[StandIn]
) -> None:
    await answer(services, replace(ask("big"), receipt_id="rcpt_1"))

    receipt = services.till.settle("rcpt_1")
    assert receipt is not None
    assert receipt.model.startswith("upstream:")
    assert receipt.asked == "big:latest"


async def test_a_chain_goes_on_where_its_pool_has_nobody_left(
    services: Services, members: list[StandIn]
) -> None:
    source = "chain:big,echo"
    services.catalog.put(remote.chain_card(services.catalog, "safe", source))
    first = await answer(services, ask("safe"))
    for member in members:
        member.asked.clear()
        member.script = [refuses(500)]

    then = await answer(services, ask("safe"))

    assert first.text == "one two"
    assert then.text == "who is Oppenheimer"
    assert [len(member.asked) for member in members] == [1, 1]


async def test_what_is_no_upstream_any_more_is_no_member(
    services: Services, members: list[StandIn]
) -> None:
    out, left = members
    services.catalog.copy("echo", f"upstream:{out.port}")

    for _ in range(4):
        await answer(services, ask("big"))

    assert len(left.asked) == 4


async def test_tools_go_through_a_pool(services: Services, members: list[StandIn]) -> None:
    assert await services.capabilities("big") == ("completion", "tools")
