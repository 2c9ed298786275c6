"""Who of several equal upstreams is asked first, by what is known of them."""

from collections import Counter
from collections.abc import AsyncGenerator, Callable

import pytest

from canteen.core.errors import CanteenError, Overloaded, UpstreamFailed
from canteen.core.generation import EmbeddingRequest, GenerationRequest, Message
from canteen.core.model import ModelCard
from canteen.core.upstream import Upstream
from canteen.runtime.balance import LOOK_EVERY_S, Balance, Member, beginning, ordered
from canteen.runtime.breaker import Breaker
from canteen.runtime.remote import upstream_card

NAMES = ("a", "b", "c")
CARDS = [upstream_card(name, Upstream(f"http://{name}/v1", "m")) for name in NAMES]


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def member(name: str, num_here: int = 0, **facts: object) -> Member:
    async def look() -> float | None:
        return 0.0

    made = Member(name, Breaker(), look, num_here=num_here)
    for fact, value in facts.items():
        setattr(made, fact, value)
    return made


def asks(*turns: str) -> GenerationRequest:
    roles = ("user", "assistant")
    messages = tuple(Message(roles[at % 2], text) for at, text in enumerate(turns))  # type: ignore[arg-type]
    return GenerationRequest("r", "pool", messages=messages)


def first(members: list[Member], beginning: str = "") -> str:
    return ordered(members, beginning)[0].name


def test_who_has_least_to_do_is_asked_first() -> None:
    members = [member("a", 3), member("b", 1), member("c", 0, num_others=2.0)]

    assert [one.name for one in ordered(members, "")] == ["b", "c", "a"]


def test_equals_take_turns() -> None:
    asked = Counter(first([member(name) for name in NAMES]) for _ in range(300))

    assert min(asked.values()) > 50


def test_a_beginning_stays_with_its_own_until_that_has_much_more_to_do() -> None:
    own = first([member(name) for name in NAMES], "once upon a time")

    def loaded(num_here: int) -> str:
        members = [member(name, num_here if name == own else 4) for name in NAMES]
        return first(members, "once upon a time")

    assert loaded(4) == loaded(7) == own
    assert loaded(8) != own


def test_only_the_beginnings_of_one_that_leaves_go_elsewhere() -> None:
    beginnings = [f"conversation {number}" for number in range(60)]
    before = {one: first([member(name) for name in NAMES], one) for one in beginnings}
    after = {one: first([member(name) for name in NAMES[:2]], one) for one in beginnings}

    assert set(before.values()) == set(NAMES)
    assert all(after[one] == own for one, own in before.items() if own != "c")


def test_who_is_down_is_asked_last() -> None:
    members = [member("a", is_up=False), member("b", 5), member("c", 9)]

    assert [one.name for one in ordered(members, "")] == ["b", "c", "a"]


def test_an_open_circuit_is_last_and_is_tried_first_when_its_time_is_over() -> None:
    clock = Clock()
    broken = member("a", breaker=Breaker(clock))
    for _ in range(5):
        broken.breaker.told(is_well=False)
    members = [broken, member("b", 3)]

    while_open = first(members)
    clock.now_s += 60

    assert while_open == "b"
    assert first(members) == "a"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (asks("who is it"), asks("who is it", "nobody", "and now")),
        (
            GenerationRequest("r", "m", prompt="x" * 5000),
            GenerationRequest("r", "m", prompt="x" * 5001),
        ),
        (EmbeddingRequest("r", "m", ("a",)), EmbeddingRequest("r", "m", ("b",))),
    ],
)
def test_what_a_cache_may_hold_has_one_beginning(
    one: GenerationRequest, other: GenerationRequest
) -> None:
    assert beginning(one) == beginning(other)


def test_another_first_turn_is_another_beginning() -> None:
    assert beginning(asks("who is it")) != beginning(asks("who was it"))


class Bench:
    """Three members that are looked at and asked, by a clock of the test's own."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.looks: Counter[str] = Counter()
        self.says: dict[str, float | None] = dict.fromkeys(NAMES, 0.0)
        self.members = {card.name: self._member(card.name) for card in CARDS}
        self.balance = Balance(lambda card: self.members[card.name], self.clock)

    def _member(self, name: str) -> Member:
        short = name.partition(":")[0]

        async def look() -> float | None:
            self.looks[short] += 1
            return self.says[short]

        return Member(short, Breaker(), look)

    def order(self) -> list[str]:
        cards = self.balance.ordered(CARDS, EmbeddingRequest("r", "pool", ("a",)))
        return [card.name.partition(":")[0] for card in cards]

    async def looked(self) -> None:
        """Let a look come to its end, and the next one be due."""
        self.clock.now_s += LOOK_EVERY_S
        self.order()
        for one in self.members.values():
            if one.looking is not None:
                await one.looking


async def test_they_are_looked_at_once_a_second_while_somebody_asks() -> None:
    bench = Bench()

    for _ in range(3):
        await bench.looked()
        bench.order()

    assert bench.looks == {"a": 3, "b": 3, "c": 3}


async def test_what_a_member_says_that_it_has_to_do_counts() -> None:
    bench = Bench()
    bench.says = {"a": 7.0, "b": None, "c": 2.0}

    await bench.looked()

    assert bench.order() == ["c", "a", "b"]


async def test_a_member_that_is_back_is_asked_again() -> None:
    bench = Bench()
    bench.says["a"] = None
    await bench.looked()
    assert bench.order()[-1] == "a"

    bench.says = {"a": 0.0, "b": 5.0, "c": 5.0}
    await bench.looked()

    assert bench.order()[0] == "a"


def answers(error: CanteenError | None, *pieces: str) -> Callable[[ModelCard], AsyncGenerator[str]]:
    async def ask(card: ModelCard) -> AsyncGenerator[str]:
        for piece in pieces:
            yield piece
        if error is not None:
            raise error

    return ask


async def test_a_request_is_counted_while_it_is_answered() -> None:
    bench = Bench()
    bench.order()
    pieces = bench.balance.counted(answers(None, "one", "two"))(CARDS[0])

    await anext(pieces)
    during = bench.members[CARDS[0].name].num_here
    await pieces.aclose()

    assert during == 1
    assert bench.members[CARDS[0].name].num_here == 0


@pytest.mark.parametrize(
    "error", [UpstreamFailed("it failed"), Overloaded("it is full", retry_after_s=1.0)]
)
async def test_who_fails_before_it_begins_is_last_until_the_next_look(error: CanteenError) -> None:
    bench = Bench()
    await bench.looked()

    with pytest.raises(type(error)):
        await anext(bench.balance.counted(answers(error))(CARDS[0]))
    after = bench.order()
    await bench.looked()

    assert after[-1] == "a"
    assert bench.members[CARDS[0].name].is_up
