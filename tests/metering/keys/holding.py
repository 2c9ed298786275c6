"""Keys, and what they may have, for the tests of both."""

from collections.abc import Mapping

from canteen.core.database import Tables
from canteen.metering.keys.book import KeyBook
from canteen.metering.keys.holds import Holds, Outcome, Reserve, Settle
from canteen.metering.keys.key import Key, Wanted
from canteen.metering.keys.limits import Ask, Grant, Refusal, Unit, limits_of

NOON_S = 1_795_953_600.0


class Till:
    """One gateway's holds, and a clock that all share."""

    now_s = NOON_S

    def __init__(self, tables: Tables, key: Key, host: str = "") -> None:
        self.key = key
        self.holds = Holds(tables, lambda: Till.now_s, host)
        self.holds.beat()

    def reserve(self, hold_id: str, tokens: int, least: int | None = None) -> Outcome:
        """Ask for tokens."""
        return self.ask(hold_id, Ask(tokens, tokens if least is None else least))

    def ask(self, hold_id: str, ask: Ask) -> Outcome:
        """Ask for anything."""
        (outcome,) = self.holds.apply([self.of(hold_id, ask)])
        assert outcome is not None
        return outcome

    def of(self, hold_id: str, ask: Ask) -> Reserve:
        """The operation."""
        return Reserve(hold_id, self.key.id, limits_of(self.key.limits), ask)

    def settle(self, hold_id: str, used: Mapping[Unit, int], ask: Ask | None = None) -> None:
        """Book."""
        self.holds.apply([Settle(self.of(hold_id, ask or Ask()), Till.now_s, used)])


def new_key(tables: Tables, **limits: float) -> Key:
    """A key with limits."""
    return KeyBook(tables, lambda: NOON_S).create(Wanted("test", limits=limits))[0]


def granted(outcome: Outcome) -> int:
    """The tokens of a grant."""
    assert isinstance(outcome.decision, Grant)
    return outcome.decision.tokens


def refused(outcome: Outcome) -> Refusal:
    """The refusal."""
    assert isinstance(outcome.decision, Refusal)
    return outcome.decision
