"""A key's limits around its requests: held before a model works, booked when it has."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Protocol, TypeVar

from canteen.core.access import Caller
from canteen.core.errors import BudgetSpent, RateLimited
from canteen.core.footprint import Footprint
from canteen.core.generation import EmbeddingRequest, GenerationRequest, ScoreRequest, Usage
from canteen.metering.keys import estimate
from canteen.metering.keys.cashier import Cashier
from canteen.metering.keys.holds import Holds, Outcome, Reserve, Settle
from canteen.metering.keys.limits import (
    BILLION,
    CONCURRENCY,
    Ask,
    Grant,
    Limit,
    Refusal,
    Unit,
    limits_of,
    period,
)

Asked = TypeVar("Asked", GenerationRequest, EmbeddingRequest, ScoreRequest)
Spent = tuple[Usage, Callable[[], Footprint]]
# Who is held up by requests under way asks again after so long.
RETRY_AFTER_S = 1.0
# Of English in the usual vocabularies.
BYTES_PER_TOKEN = 4
_ORDER = ("minute", "day", "month")


class Bills(Protocol):
    """Where it stands what a request took until now."""

    def so_far(self, receipt_id: str) -> Spent | None: ...


class Limiter:
    """The limits of all keys. `context_length` tells that of a model by its name."""

    def __init__(
        self, cashier: Cashier, bills: Bills, context_length: Callable[[str], int]
    ) -> None:
        self.cashier = cashier
        self.bills = bills
        self.context_length = context_length
        self.appetites = estimate.Appetites()

    @classmethod
    def on(cls, holds: Holds, bills: Bills, context_length: Callable[[str], int]) -> "Limiter":
        """With a cashier of its own."""
        return cls(Cashier(holds), bills, context_length)

    def account(self, caller: Caller, receipt_id: str) -> "Account | None":
        """What a request of a caller is counted on; None where nothing is limited."""
        limits = limits_of(caller.limits)
        return Account(self, caller.id, receipt_id, limits) if limits else None

    def close(self) -> None:
        """Book what waits."""
        self.cashier.close()


@dataclass(slots=True)
class Account:
    """One request over HTTP, however often it asks models. `headers` tell how its key stands."""

    limiter: Limiter
    key_id: str
    receipt_id: str
    limits: tuple[Limit, ...]
    headers: dict[str, str] = field(default_factory=dict)
    _whole: Settle | None = None
    _taken: dict[Unit, int] = field(default_factory=dict)
    _ids: "itertools.count[int]" = field(default_factory=itertools.count)

    async def reserve(self, request: Asked) -> "tuple[Asked, Part]":
        """Hold what a part of the request may take. An answer without a limit may be given one,
        as much as there is left. Raises RateLimited, and BudgetSpent where waiting is no use."""
        context = self.limiter.context_length(request.model)
        reads = estimate.prompt_tokens(request, context)
        ask = self._ask(request, reads, context)
        limits = tuple(one for one in self.limits if one.unit != "requests")
        part = Reserve(f"{self.receipt_id}/{next(self._ids)}", self.key_id, limits, ask)
        reserves: list[Reserve] = [part] if limits else []
        if self._whole is None:
            whole = tuple(one for one in self.limits if one.unit == "requests")
            first = Reserve(self.receipt_id, self.key_id, whole, Ask(num_requests=1))
            # Before anything is waited for: several parts may begin at once.
            self._whole = Settle(first, 0.0, {"requests": 1})
            reserves = [first, *reserves] if whole else reserves
        outcomes = await self.limiter.cashier.reserve(*reserves)
        self._see(reserves, outcomes)
        granted = self._granted(part, outcomes, ask)
        at_s = outcomes[-1].at_s if outcomes else 0.0
        return _within(request, granted, ask, reads), Part(self, request.model, part, at_s, reads)

    def end(self) -> None:
        """The request is over."""
        if self._whole is not None and self._whole.at_s:
            self.limiter.cashier.settle_later(self._whole)

    def took(self, model: str) -> dict[Unit, int]:
        """What was taken since this was asked last, of the request as a whole; nothing where no
        model has begun."""
        spent = self.limiter.bills.so_far(self.receipt_id)
        if spent is None:
            return {}
        usage, footprint = spent
        now: dict[Unit, int] = {"tokens": usage.prompt_tokens + usage.completion_tokens}
        if any(one.unit in ("usd", "wh", "ml") for one in self.limits):
            now |= _physical(footprint())
        # A figure may fall when what counts the energy changes; nothing is booked back.
        more = {unit: max(amount - self._taken.get(unit, 0), 0) for unit, amount in now.items()}
        self._taken = now
        self.limiter.appetites.see(model, more)
        return more

    def _ask(self, request: Asked, reads: int, context: int) -> Ask:
        writes = estimate.completion_tokens(request, context)
        tries, seqs, limit = estimate.num_tries(request), 1, None
        if isinstance(request, GenerationRequest):
            seqs, limit = request.n, request.sampling.max_tokens
        most = tries * (reads + seqs * writes)
        least = tries * (reads + seqs) if limit is None else most
        per_token = {
            one.unit: self.limiter.appetites.most_per_token(request.model, one.unit)
            for one in self.limits
            if one.unit not in ("requests", "tokens")
        }
        return Ask(most, min(least, most), per_token)

    def _granted(self, part: Reserve, outcomes: list[Outcome], ask: Ask) -> int:
        """The tokens that the part may take; raises, having given back what the others hold."""
        refused = [one for one in outcomes if isinstance(one.decision, Refusal)]
        if refused:
            if part.limits and isinstance(outcomes[-1].decision, Grant):
                self.limiter.cashier.settle_later(Settle(part, outcomes[-1].at_s, {}))
            raise _refusal(refused[0])
        last = outcomes[-1].decision if part.limits else None
        return last.tokens if isinstance(last, Grant) else ask.most_tokens

    def _see(self, reserves: list[Reserve], outcomes: list[Outcome]) -> None:
        for reserve, outcome in zip(reserves, outcomes, strict=True):
            is_held = isinstance(outcome.decision, Grant)
            if self._whole is not None and reserve is self._whole.reserve:
                self._whole = replace(self._whole, at_s=outcome.at_s) if is_held else None
            self.headers |= _headers(outcome)


@dataclass(slots=True)
class Part:
    """One question to a model, whose estimate is held until it is settled; `reads` is the most
    tokens that its prompts have."""

    account: Account
    model: str
    reserve: Reserve
    at_s: float
    reads: int
    is_settled: bool = False

    async def settle(self) -> None:
        """Book what it took; once this returns, it is booked even if the gateway dies."""
        if not self._is_over():
            await self.account.limiter.cashier.settle(self._settle(self.account.took(self.model)))

    def give_up(self) -> None:
        """Book what it took until now, soon; a part that is settled stays so. How many tokens the
        prompt of such a one had is told by nobody, so it is guessed."""
        if not self._is_over():
            took = self.account.took(self.model)
            if took:
                took["tokens"] += self.reads // BYTES_PER_TOKEN
            self.account.limiter.cashier.settle_later(self._settle(took))

    def _is_over(self) -> bool:
        was_settled, self.is_settled = self.is_settled, True
        return was_settled or not self.reserve.limits

    def _settle(self, used: Mapping[Unit, int]) -> Settle:
        return Settle(self.reserve, self.at_s, used)


def _within(request: Asked, granted: int, ask: Ask, reads: int) -> Asked:
    """The request, whose answer ends where what was granted does."""
    if granted >= ask.most_tokens or not isinstance(request, GenerationRequest):
        return request
    tries = estimate.num_tries(request)
    most = (granted // tries - reads) // request.n
    return replace(request, sampling=replace(request.sampling, max_tokens=max(most, 1)))


def _physical(footprint: Footprint) -> dict[Unit, int]:
    """A footprint in the units of budgets, in billionths."""
    water_ml = footprint.water_site.to("mL").central + footprint.water_source.to("mL").central
    used: dict[Unit, int] = {
        "wh": ceil(footprint.energy.to("Wh").central * BILLION),
        "ml": ceil(water_ml * BILLION),
    }
    if footprint.cost is not None:
        used["usd"] = ceil(footprint.cost.to("USD").central * BILLION)
    return used


def _refusal(outcome: Outcome) -> RateLimited:
    refusal = outcome.decision
    assert isinstance(refusal, Refusal)
    limit, left_s = refusal.limit, _left_s(refusal.limit, outcome.at_s)
    wanted, left, most = (limit.told(one) for one in (refusal.wanted, refusal.left, limit.most))
    if limit.name == CONCURRENCY:
        message = f"this key has {most} under way, which is all it may; wait for one to end"
        return RateLimited(message, retry_after_s=RETRY_AFTER_S)
    may = f"this key's limit {limit.name} is {most}"
    if refusal.is_too_large:
        said = f"{may} and this may take {wanted}; ask for less (max_tokens) or for a larger limit"
        return BudgetSpent(said, retry_after_s=left_s)
    if limit.unit != "requests":
        may += f", of which {left} are left, and this may take {wanted}"
    if refusal.waits_for_others:
        said = f"{may}; wait for requests under way, which hold the rest, or lower max_tokens"
        return RateLimited(said, retry_after_s=RETRY_AFTER_S)
    if limit.is_budget:
        said = f"{may}; nothing more can be had before the {limit.per} is over"
        return BudgetSpent(said, retry_after_s=left_s)
    return RateLimited(f"{may}; wait for the next minute", retry_after_s=left_s)


def _left_s(limit: Limit, now_s: float) -> float:
    """Until the period is over and another begins."""
    return max(period(limit.per, now_s)[1] - now_s, RETRY_AFTER_S)


def _headers(outcome: Outcome) -> Mapping[str, str]:
    """How requests and tokens stand, in the headers of OpenAI's service; of several periods, the
    shortest is told."""
    headers: dict[str, str] = {}
    cells = [one for one in outcome.cells.items() if one[0].per in _ORDER]
    for limit, cell in sorted(cells, key=lambda one: _ORDER.index(one[0].per), reverse=True):
        if limit.unit in ("requests", "tokens"):
            left = max(limit.most - cell.used - cell.held, 0)
            headers[f"x-ratelimit-limit-{limit.unit}"] = str(limit.most)
            headers[f"x-ratelimit-remaining-{limit.unit}"] = str(left)
            headers[f"x-ratelimit-reset-{limit.unit}"] = _duration(_left_s(limit, outcome.at_s))
    return headers


def _duration(seconds: float) -> str:
    """As Go writes durations: `1s`, `6m0s`, `25h0m0s`."""
    minutes, whole = divmod(ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{whole}s"
    return f"{minutes}m{whole}s" if minutes else f"{whole}s"
