"""Which of several equal upstreams is asked: the one that has read the same beginning before,
unless others have less to do."""

import asyncio
import hashlib
import math
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TypeVar

from canteen.core.errors import Overloaded, UpstreamFailed
from canteen.core.generation import GenerationRequest, Request
from canteen.core.model import ModelCard
from canteen.runtime.breaker import Breaker
from canteen.runtime.fallback import Ask

Piece = TypeVar("Piece")

# Who has read the beginning before is asked while it has no more to do than this times what the
# least busy one has, and so many requests.
MOST_TIMES, MOST_MORE = 1.25, 2
# What is compared of a beginning; nobody has so long a one in common by chance.
MOST_CHARACTERS = 4096
# While somebody asks, they are looked at as often as this.
LOOK_EVERY_S = 1.0


@dataclass(slots=True, eq=False)
class Member:
    """An upstream that is one of several. `look` gives the requests that it has, None where it
    takes none; `tell` hears whether it takes any.

    `num_here` are its requests from here, `num_others` what it said that it has besides. It is
    not `is_up` from a look or an answer that failed to the next look.
    """

    name: str
    breaker: Breaker
    look: Callable[[], Awaitable[float | None]]
    tell: Callable[[bool], object] = lambda is_up: None
    num_here: int = 0
    num_others: float = 0.0
    is_up: bool = True
    looked_s: float = -math.inf
    looking: "asyncio.Task[None] | None" = field(default=None, repr=False)

    @property
    def load(self) -> float:
        """Requests that it has to do."""
        return self.num_here + self.num_others

    def weight(self, beginning: str) -> bytes:
        """Which beginnings are its own: those for which its weight is the highest of all, so that
        only those of a member that leaves go to others."""
        return hashlib.blake2b(f"{self.name}\n{beginning}".encode()).digest()


def ordered(members: Sequence[Member], beginning: str) -> list[Member]:
    """In which order to ask. `beginning` is empty where none is worth to be kept together.

    Whose circuit is to be tried is first: it refuses at once, and that sets off its probe. Who is
    down is last, as a look may be wrong.
    """
    up = [one for one in members if one.is_up]
    due = [one for one in up if one.breaker.state == "half-open"]
    well = [one for one in up if one.breaker.state == "closed"]
    rest = [one for one in members if one not in due and one not in well]
    # Equals in any order.
    random.shuffle(well)
    well.sort(key=lambda one: one.load)
    if well and beginning:
        own = max(well, key=lambda one: one.weight(beginning))
        if own.load <= MOST_TIMES * well[0].load + MOST_MORE:
            well.remove(own)
            well.insert(0, own)
    return [*due, *well, *sorted(rest, key=lambda one: one.load)]


def beginning(request: Request) -> str:
    """What all requests of a conversation have in common, which a cache may hold: all up to the
    end of the first turn of its user. Empty for what is not generated."""
    if not isinstance(request, GenerationRequest):
        return ""
    if request.prompt is not None:
        return request.prompt[:MOST_CHARACTERS]
    if request.prompt_tokens is not None:
        return str(request.prompt_tokens[:MOST_CHARACTERS])
    turns = list[str]()
    for turn in request.messages:
        turns.append(f"{turn.role}: {turn.content[:MOST_CHARACTERS]}")
        if turn.role == "user":
            break
    return "\n".join(turns)[:MOST_CHARACTERS]


class Balance:
    """Shares the requests to equal models among these, and looks how they are while it does."""

    def __init__(
        self,
        made: Callable[[ModelCard], Member],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._made = made
        self._clock = clock
        self._members: dict[str, Member] = {}
        self._looking: set[asyncio.Task[None]] = set()

    def ordered(self, cards: Sequence[ModelCard], request: Request) -> list[ModelCard]:
        """Equal upstreams in the order to ask them. A model that is alone is not looked at."""
        if len(cards) < 2:
            return list(cards)
        members = {self._member(card): card for card in cards}
        for member in members:
            self._see_to(member)
        return [members[one] for one in ordered(list(members), beginning(request))]

    def counted(self, ask: Ask[Piece]) -> Ask[Piece]:
        """The same asking, known to whoever is asked as one of several."""

        def asked(card: ModelCard) -> AsyncGenerator[Piece]:
            member = self._members.get(card.digest)
            return ask(card) if member is None else _counted(member, ask(card))

        return asked

    async def close(self) -> None:
        """Look no more."""
        for looking in self._looking:
            looking.cancel()
        if self._looking:
            await asyncio.wait(self._looking)

    def _member(self, card: ModelCard) -> Member:
        if card.digest not in self._members:
            self._members[card.digest] = self._made(card)
        return self._members[card.digest]

    def _see_to(self, member: Member) -> None:
        """Have it looked at, if it is time."""
        if member.looking is not None or self._clock() < member.looked_s + LOOK_EVERY_S:
            return
        member.looking = asyncio.ensure_future(self._look(member))
        self._looking.add(member.looking)
        member.looking.add_done_callback(self._looking.discard)

    async def _look(self, member: Member) -> None:
        try:
            load = await member.look()
            member.is_up = load is not None
            member.num_others = max(0.0, (load or 0.0) - member.num_here)
            member.tell(member.is_up)
        finally:
            member.looked_s, member.looking = self._clock(), None


async def _counted(member: Member, pieces: AsyncGenerator[Piece]) -> AsyncGenerator[Piece]:
    """An answer of a member, which has so much more to do until its end, and is not up where it
    failed before it began."""
    is_begun = False
    member.num_here += 1
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                is_begun = True
                yield piece
    except (UpstreamFailed, Overloaded):
        member.is_up = member.is_up and is_begun
        raise
    finally:
        member.num_here -= 1
