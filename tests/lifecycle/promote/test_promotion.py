"""Promotion: when a name moves, what is kept of it, and the way back."""

import itertools
import json
import logging
import math
import resource
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from canteen.core.errors import EngineError, InvalidRequest, ModelNotFound, ModelUnsuitable
from canteen.core.model import ModelCard, Progress
from canteen.lifecycle.promote import moving, records
from canteen.lifecycle.promote.gate import Condition, Figure, Question
from canteen.lifecycle.promote.ports import Measured
from canteen.lifecycle.promote.promotion import Wish, promote
from canteen.lifecycle.promote.records import Promotion

GATE = "accuracy>=0.8 on spam; perplexity<=1.02x"


def card(name: str, digit: str, perplexity: float = 20.0) -> ModelCard:
    """A generator of which the preparation knows a perplexity."""
    return ModelCard(
        name=name,
        kind="generator",
        digest="sha256:" + digit * 64,
        engine="openvino",
        folder=f"prepared/{digit}",
        source="file:x",
        format="gguf",
        architecture="llama",
        num_parameters=1,
        context_length=8,
        size_bytes=100,
        quantization="Q8_0",
        modified_at="",
        quality={"perplexity_after": perplexity, "bytes_after": 50},
    )


@dataclass
class Rooms:
    """A store in memory, and models whose accuracy is known by their digests' digit."""

    home: Path
    accuracy: Mapping[str, float]
    cards: dict[str, ModelCard] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    is_comparable_at_all: bool = True
    meanwhile: Callable[["Rooms"], object] = lambda rooms: None
    dies_at: str = ""
    failed: Mapping[str, int] = field(default_factory=dict)
    fits: bool = True

    def get(self, name: str) -> ModelCard:
        if name not in self.cards:
            raise ModelNotFound(name)
        return self.cards[name]

    def find(self, name: str) -> ModelCard | None:
        return self.cards.get(name)

    def move(self, name: str, card: ModelCard, *, before: ModelCard | None, keep_as: str) -> None:
        if self.cards.get(name) != before:
            raise InvalidRequest("changed by somebody else")
        if self.dies_at == "before":
            raise KeyboardInterrupt
        if before is not None:
            self.cards[keep_as] = replace(before, name=keep_as)
        if self.dies_at == "move":
            raise KeyboardInterrupt
        self.cards[name] = replace(card, name=name)
        if self.dies_at == "after":
            raise KeyboardInterrupt

    def remove(self, name: str) -> None:
        del self.cards[name]

    async def load(self, card: ModelCard) -> None:
        if not self.fits:
            raise ModelUnsuitable("it never fits")

    def check(self, conditions: Sequence[Condition], card: ModelCard) -> None:
        if any(one.data == "nothing" for one in conditions):
            raise InvalidRequest("no data set 'nothing'")

    async def measure(self, card: ModelCard, question: Question) -> Measured:
        self.asked.append(f"{card.name} {question.data}")
        self.meanwhile(self)
        value = self.accuracy[card.digest[-1]]
        run = f"run-{len(self.asked)}"
        figures = {"accuracy": Figure(value, value - 0.1, value + 0.1)}
        return Measured(figures, run, 100, self.failed.get(card.digest[-1], 0))

    def is_comparable(self, one: ModelCard, other: ModelCard) -> bool:
        return self.is_comparable_at_all


@pytest.fixture
def rooms(tmp_path: Path) -> Rooms:
    accuracy = {"a": 0.7, "b": 0.85, "c": 0.9, "d": 0.95, "e": 0.97}
    cards = {f"{digit}:1": card(f"{digit}:1", digit) for digit in accuracy}
    rooms = Rooms(tmp_path, accuracy, cards)
    rooms.cards["prod:1"] = replace(rooms.cards["a:1"], name="prod:1")
    return rooms


ticks = itertools.count(1_800_000_000)


async def promoted(rooms: Rooms, candidate: str, gate: str = GATE, **asked: bool) -> Promotion:
    """Done by somebody, a second after what was done before."""
    told: list[Progress] = []
    wish = Wish(candidate, "prod:1", gate, "me@here", **asked)
    return await promote(rooms, wish, told.append, lambda: float(next(ticks)))


async def back(rooms: Rooms) -> Promotion:
    return await moving.rollback(rooms, "prod:1", "me@here", lambda: float(next(ticks)))


def holds(rooms: Rooms) -> str:
    """The digit of what the name holds."""
    return rooms.cards["prod:1"].folder[-1]


async def test_a_name_moves_when_all_conditions_hold(rooms: Rooms) -> None:
    done = await promoted(rooms, "b:1")

    assert holds(rooms) == "b"
    assert done.state == "promoted"
    assert [one.holds for one in done.verdicts] == [True, True]
    assert done.by == "me@here"
    assert done.gate == GATE
    assert (done.digest[-1], done.former_digest[-1]) == ("b", "a")
    assert rooms.cards[done.kept_as].digest[-1] == "a"
    assert (done.folder, done.quantization) == ("prepared/b", "Q8_0")
    assert done.former_quantization == "Q8_0"
    assert done.runs == ("run-1",)
    assert records.load(rooms.home) == [done]


async def test_a_gate_that_fails_moves_nothing_and_is_recorded(rooms: Rooms) -> None:
    before = dict(rooms.cards)

    done = await promoted(rooms, "b:1", "accuracy>=0.8 on spam; perplexity<=0.9x")

    assert done.state == "refused"
    assert [one.holds for one in done.verdicts] == [True, False]
    assert rooms.cards == before
    assert records.load(rooms.home) == [done]


async def test_with_sure_the_interval_must_hold(rooms: Rooms) -> None:
    assert (await promoted(rooms, "b:1", is_sure=True)).state == "refused"
    assert (await promoted(rooms, "c:1", is_sure=True)).state == "promoted"


async def test_a_dry_run_moves_and_keeps_nothing(rooms: Rooms) -> None:
    before = dict(rooms.cards)

    done = await promoted(rooms, "b:1", is_trial=True)

    assert done.state == "tried"
    assert all(one.holds for one in done.verdicts)
    assert rooms.cards == before
    assert records.load(rooms.home) == []


async def test_the_current_model_is_asked_only_where_a_condition_compares(rooms: Rooms) -> None:
    await promoted(rooms, "b:1", "accuracy>=1.1x on spam; accuracy>=0.5 on names", is_trial=True)

    assert rooms.asked == ["prod:1 spam-assassin", "b:1 spam-assassin", "b:1 names"]


async def test_a_name_that_holds_nothing_gets_its_first_model(rooms: Rooms) -> None:
    del rooms.cards["prod:1"]

    with pytest.raises(InvalidRequest, match="holds nothing yet"):
        await promoted(rooms, "b:1")
    done = await promoted(rooms, "b:1", "accuracy>=0.8 on spam")

    assert holds(rooms) == "b"
    assert done.kept_as == ""
    with pytest.raises(InvalidRequest, match="held nothing before"):
        await back(rooms)


async def test_each_rollback_goes_one_promotion_back(rooms: Rooms) -> None:
    for candidate in ("b:1", "c:1"):
        await promoted(rooms, candidate)

    first = await back(rooms)
    assert holds(rooms) == "b"
    assert first.state == "rolled back"
    assert (first.digest[-1], first.former_digest[-1]) == ("b", "c")
    await back(rooms)
    assert holds(rooms) == "a"
    with pytest.raises(InvalidRequest, match="is left to roll back"):
        await back(rooms)


async def test_after_a_rollback_another_can_be_promoted_and_rolled_back(rooms: Rooms) -> None:
    await promoted(rooms, "b:1")
    await back(rooms)
    await promoted(rooms, "c:1")

    await back(rooms)

    assert holds(rooms) == "a"


async def test_only_what_a_rollback_may_want_stays_in_the_store(rooms: Rooms) -> None:
    for candidate in ("b:1", "c:1", "d:1", "e:1"):
        await promoted(rooms, candidate)

    kept = [one.digest[-1] for name, one in rooms.cards.items() if "-before-" in name]
    assert kept == ["c", "d"]
    await back(rooms)
    await back(rooms)
    with pytest.raises(InvalidRequest, match="was removed from the store"):
        await back(rooms)
    assert holds(rooms) == "c"


async def test_a_name_changed_by_somebody_else_meanwhile_is_left_alone(rooms: Rooms) -> None:
    stranger = replace(rooms.cards["e:1"], name="prod:1")
    rooms.meanwhile = lambda rooms: rooms.cards.update({"prod:1": stranger})

    with pytest.raises(InvalidRequest, match="changed by somebody else"):
        await promoted(rooms, "b:1")

    assert rooms.cards["prod:1"] == stranger
    assert [one.state for one in records.load(rooms.home)] == ["failed"]


async def test_a_candidate_changed_while_it_is_evaluated_is_not_promoted(rooms: Rooms) -> None:
    other = replace(rooms.cards["a:1"], name="b:1")
    rooms.meanwhile = lambda rooms: rooms.cards.update({"b:1": other})

    with pytest.raises(InvalidRequest, match="changed while it was evaluated"):
        await promoted(rooms, "b:1")

    assert holds(rooms) == "a"


@pytest.mark.parametrize("dies_at", ["before", "move", "after"])
@pytest.mark.parametrize("was_rolled_back", [False, True])
@pytest.mark.parametrize("is_of_one_source", [False, True])
async def test_a_move_that_was_cut_short_is_settled_by_what_became_of_it(
    rooms: Rooms, dies_at: str, was_rolled_back: bool, is_of_one_source: bool
) -> None:
    if is_of_one_source:
        # As of other preparations, whose folders tell them apart.
        rooms.cards = {name: replace(one, digest="x") for name, one in rooms.cards.items()}
        rooms.accuracy = {"x": 0.9}
    await promoted(rooms, "b:1")
    await promoted(rooms, "c:1")
    rooms.dies_at = dies_at
    with pytest.raises(KeyboardInterrupt):
        await (back(rooms) if was_rolled_back else promoted(rooms, "d:1"))
    rooms.dies_at = ""
    assert records.load(rooms.home)[-1].state == "moving"
    has_moved = dies_at == "after"
    after = "b" if was_rolled_back else "d"
    assert holds(rooms) == (after if has_moved else "c")

    await promoted(rooms, "e:1")

    done = "rolled back" if was_rolled_back else "promoted"
    assert records.load(rooms.home)[-2].state == (done if has_moved else "failed")
    below = {("promoted", True): "dc", ("rolled back", True): "ba"}
    assert "".join([(await back(rooms)).folder[-1] for _ in range(2)]) == below.get(
        (done, has_moved), "cb"
    )


@pytest.mark.parametrize(
    ("candidate", "gate", "says"),
    [
        ("z:1", GATE, "'z:1' not found"),
        ("prod:1", GATE, "there is nothing to promote"),
        ("a:1", GATE, "there is nothing to promote"),
        ("b:1", "accuracy>=0.8 on nothing", "no data set 'nothing'"),
        ("b:1", "accuracy>=", "a number"),
        ("b:1", "decode_tokens_per_s>=10", "nothing is known of 'decode_tokens_per_s'"),
        ("b:1", "f1_exact>=0.5 on names", "nothing is known of 'f1_exact'"),
    ],
)
async def test_what_cannot_be_judged_moves_nothing(
    rooms: Rooms, candidate: str, gate: str, says: str
) -> None:
    before = dict(rooms.cards)

    with pytest.raises(InvalidRequest, match=says):
        await promoted(rooms, candidate, gate)

    assert rooms.cards == before
    assert records.load(rooms.home) == []


async def test_a_name_that_writes_does_not_become_one_that_embeds(rooms: Rooms) -> None:
    rooms.cards["b:1"] = replace(rooms.cards["b:1"], kind="embedder")

    with pytest.raises(InvalidRequest, match="give it a name of its own"):
        await promoted(rooms, "b:1")


async def test_perplexities_of_other_tokens_are_not_compared(rooms: Rooms) -> None:
    rooms.is_comparable_at_all = False

    with pytest.raises(InvalidRequest, match="their tokenizers differ"):
        await promoted(rooms, "b:1")
    assert (await promoted(rooms, "b:1", "perplexity<30")).state == "promoted"


async def test_what_a_name_got_after_a_move_was_cut_short_does_not_cost_the_former_one(
    rooms: Rooms,
) -> None:
    rooms.dies_at = "move"
    with pytest.raises(KeyboardInterrupt):
        await promoted(rooms, "b:1")
    rooms.dies_at = ""
    rooms.cards["prod:1"] = replace(rooms.cards["e:1"], name="prod:1")

    await promoted(rooms, "c:1")

    tried, _ = records.load(rooms.home)
    assert tried.state == "failed"
    assert rooms.cards[tried.kept_as].folder[-1] == "a"


async def test_a_name_that_was_removed_can_be_brought_back(rooms: Rooms) -> None:
    await promoted(rooms, "b:1")
    rooms.remove("prod:1")

    done = await back(rooms)

    assert (holds(rooms), done.kept_as, done.former_digest) == ("a", "", "")


async def test_what_cannot_be_loaded_is_not_promoted(rooms: Rooms) -> None:
    rooms.fits = False

    with pytest.raises(ModelUnsuitable, match="never fits"):
        await promoted(rooms, "b:1", "perplexity<=1.02x")

    assert holds(rooms) == "a"


@pytest.mark.parametrize(
    ("gate", "failed", "holds"),
    [
        ("accuracy>=0.8 on spam", {"b": 1}, True),
        ("accuracy>=0.8 on spam", {"b": 2}, False),
        ("accuracy>=0.8 on spam", {"a": 50}, True),
        ("accuracy>=1x on spam", {"a": 2}, False),
        ("accuracy>=1x on spam", {"a": 1, "b": 1}, True),
    ],
)
async def test_a_gate_does_not_hold_where_many_items_got_no_answer(
    rooms: Rooms, gate: str, failed: Mapping[str, int], holds: bool
) -> None:
    rooms.failed = failed

    done = await promoted(rooms, "b:1", gate, is_trial=True)

    (verdict,) = done.verdicts
    assert verdict.holds is holds
    models = "ab" if "1x" in gate else "b"
    assert verdict.num_items == 100 * len(models)
    assert verdict.num_failed == sum(failed.get(one, 0) for one in models)


async def test_what_is_no_number_is_not_judged_and_leaves_no_record(rooms: Rooms) -> None:
    rooms.accuracy = {"b": math.nan}

    with pytest.raises(EngineError, match="'accuracy' of 'b:1' is no number"):
        await promoted(rooms, "b:1")

    assert records.load(rooms.home) == []


async def test_what_is_known_beforehand_is_told_before_anybody_is_asked(rooms: Rooms) -> None:
    with pytest.raises(InvalidRequest, match="nothing is known of 'decode_tokens_per_s'"):
        await promoted(rooms, "b:1", "accuracy>=0.8 on spam; decode_tokens_per_s>1")
    (rooms.home / records.FOLDER).mkdir()
    (rooms.home / records.FOLDER / "1.json").write_text("{")
    with pytest.raises(EngineError, match="is damaged"):
        await promoted(rooms, "b:1")

    assert rooms.asked == []


async def test_a_full_disk_is_told_and_nothing_moves(rooms: Rooms, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            await promoted(rooms, "b:1")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert holds(rooms) == "a"
    assert records.load(rooms.home) == []


async def test_a_damaged_record_is_named(rooms: Rooms) -> None:
    done = await promoted(rooms, "b:1")
    path = rooms.home / records.FOLDER / f"{done.id}.json"
    path.write_text(json.dumps({"id": done.id}))

    with pytest.raises(Exception, match=f"the record {path.name} .* is damaged"):
        await back(rooms)


async def test_a_damaged_record_of_another_name_is_left_out(
    rooms: Rooms, caplog: pytest.LogCaptureFixture
) -> None:
    await promoted(rooms, "b:1")
    (rooms.home / records.FOLDER / "1.json").write_text('{"id": "1", "name": "other:1", "stat')

    await back(rooms)

    assert holds(rooms) == "a"
    with caplog.at_level(logging.WARNING):
        assert len(records.load(rooms.home)) == 2
    assert "the record 1.json" in caplog.text
