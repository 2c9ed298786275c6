"""The loop learns, validates, stops when it should, and goes on where it was."""

import itertools
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from canteen.core.errors import EngineError, InvalidRequest
from canteen.lifecycle.training.batches import Order, collate
from canteen.lifecycle.training.loop import Place, Schedule, fit
from canteen.lifecycle.training.stepping import Arithmetic, Stepper

from .conftest import MakeModel, sequences

TRAIN, VALIDATION = sequences(40), sequences(9, seed=1)
QUICK: dict[str, Any] = {
    "learning_rate": 1e-2,
    "warmup_steps": 2,
    "device": "cpu",
    "dtype": "float32",
}


class Interrupted(Exception):
    pass


def place(folder: Path, events: list[Mapping[str, Any]], stop_at: int = 0) -> Place:
    ticks = itertools.count()

    def tell(event: Mapping[str, Any]) -> None:
        events.append(json.loads(json.dumps(event)))
        if event["event"] == "step" and event["step"] == stop_at:
            raise Interrupted

    return Place(folder, tell, lambda step: f"after {step}", lambda: float(next(ticks)))


def told(events: list[Mapping[str, Any]], event: str, field: str) -> dict[int, Any]:
    return {one["step"]: one[field] for one in events if one["event"] == event}


def test_loss_falls_and_each_event_is_told(tmp_path: Path, make_model: MakeModel) -> None:
    events: list[Mapping[str, Any]] = []
    schedule = Schedule(12, 8, evaluate_every=6, checkpoint_every=5, **QUICK)

    fitted = fit(make_model(), TRAIN, VALIDATION, schedule, place(tmp_path, events))

    losses = told(events, "validation", "loss")
    assert list(losses) == [6, 12]
    assert losses[12] < losses[6] < math.log(64)
    assert told(events, "sample", "text") == {6: "after 6", 12: "after 12"}
    assert [one["step"] for one in events if one["event"] == "checkpoint"] == [5, 6, 10, 12]
    assert (fitted.steps, fitted.best_step, fitted.stopped) == (12, 12, "")
    assert fitted.validation_loss == pytest.approx(losses[12])
    tokens = told(events, "step", "tokens")
    assert tokens[12] == fitted.tokens
    assert told(events, "step", "tokens_per_s")[12] == tokens[12] - tokens[11]


def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path: Path, make_model: MakeModel) -> None:
    whole: list[Mapping[str, Any]] = []
    pieces: list[Mapping[str, Any]] = []
    schedule = Schedule(12, 4, 2, evaluate_every=4, checkpoint_every=3, weight_decay=0.1, **QUICK)
    fit(make_model(), TRAIN, VALIDATION, schedule, place(tmp_path / "whole", whole))

    for stop_at in (2, 5, 7, 11):
        there = place(tmp_path / "pieces", pieces, stop_at)
        with pytest.raises(Interrupted):
            fit(make_model(), TRAIN, VALIDATION, schedule, there)
    fit(make_model(), TRAIN, VALIDATION, schedule, place(tmp_path / "pieces", pieces))

    assert [one["step"] for one in pieces if one["event"] == "resumed"] == [4, 6, 9]
    assert told(pieces, "step", "loss") == told(whole, "step", "loss")
    assert told(pieces, "step", "tokens") == told(whole, "step", "tokens")
    assert told(pieces, "validation", "loss") == told(whole, "validation", "loss")


def test_patience_ends_a_run_with_its_best_weights(tmp_path: Path, make_model: MakeModel) -> None:
    events: list[Mapping[str, Any]] = []
    # What is validated on contradicts what is learnt, so that learning makes it worse.
    against = [{"input_ids": one["input_ids"], "labels": [5] * 20} for one in VALIDATION]
    against = [{**one, "labels": one["labels"][: len(one["input_ids"])]} for one in against]
    schedule = Schedule(50, 8, evaluate_every=2, checkpoint_every=50, patience=3, **QUICK)
    model = make_model()

    fitted = fit(model, TRAIN, against, schedule, place(tmp_path, events))

    losses = told(events, "validation", "loss")
    assert fitted.steps == fitted.best_step + 6 < 50
    assert losses[fitted.best_step] == min(losses.values())
    assert "3 validations brought no gain" in fitted.stopped
    assert told(events, "stopped", "why") == {fitted.steps: fitted.stopped}
    stepper = Stepper(model, _float32(), 0.0)
    left = stepper.mean_loss([collate(against, "cpu")])
    assert left == pytest.approx(fitted.validation_loss, rel=1e-5)


def test_a_loss_that_is_no_number_ends_a_run_at_its_last_good_checkpoint(
    tmp_path: Path, make_model: MakeModel
) -> None:
    events: list[Mapping[str, Any]] = []
    model = make_model()
    schedule = Schedule(9, 8, evaluate_every=9, checkpoint_every=2, **QUICK)

    def tell(event: Mapping[str, Any]) -> None:
        events.append(event)
        if event["event"] == "step" and event["step"] == 5:
            model.model.norm.weight.data.fill_(math.inf)

    with pytest.raises(InvalidRequest, match="checkpoint of step 4 is kept") as refused:
        fit(model, TRAIN, VALIDATION, schedule, Place(tmp_path, tell))

    assert refused.value.code == "training_diverged"
    assert "lower learning rate than 0.01" in refused.value.message
    assert [one["step"] for one in events if one["event"] == "stopped"] == [6]
    with pytest.raises(Interrupted):
        fit(make_model(), TRAIN, VALIDATION, schedule, place(tmp_path, events, stop_at=5))
    assert events[-2]["event"] == "resumed"
    assert math.isfinite(events[-1]["loss"])


def test_accumulated_batches_learn_as_one_large_batch(make_model: MakeModel) -> None:
    large, small = (Stepper(make_model(), _float32(), 0.0) for _ in range(2))

    whole = large.step([collate(TRAIN[:8], "cpu")], 1e-3, seed=0)
    parts = small.step([collate(TRAIN[i : i + 3], "cpu") for i in range(0, 8, 3)][:2], 1e-3, 0)
    other = Stepper(make_model(), _float32(), 0.0).step([collate(TRAIN[:6], "cpu")], 1e-3, 0)

    assert parts == pytest.approx(other, rel=1e-5)
    assert whole[2] == sum(len(one["input_ids"]) for one in TRAIN[:8])


def test_padding_and_masked_tokens_add_nothing_to_the_loss(make_model: MakeModel) -> None:
    import torch

    model = make_model()
    loss = Stepper(model, _float32(), 0.0).mean_loss([collate(TRAIN[:8], "cpu")])

    total = count = 0.0
    for one in TRAIN[:8]:
        with torch.no_grad():
            logits = model(torch.tensor([one["input_ids"]])).logits[0].log_softmax(-1)
        for here in range(3, len(one["input_ids"])):
            total -= float(logits[here - 1, one["input_ids"][here]])
            count += 1
    assert loss == pytest.approx(total / count, rel=1e-5)


def test_a_batch_has_similar_lengths_and_an_epoch_each_example_once() -> None:
    lengths = [len(one["input_ids"]) for one in sequences(203)]
    order = Order(lengths, batch_size=4, seed=3)

    epochs = [
        [order.batch(epoch * order.num_batches + i) for i in range(order.num_batches)]
        for epoch in (0, 1)
    ]

    for batches in epochs:
        assert sorted(i for batch in batches for i in batch) == list(range(203))
        spread = [max(lengths[i] for i in b) - min(lengths[i] for i in b) for b in batches]
        assert sum(spread) / len(spread) < 2
    assert epochs[0] != epochs[1]
    assert Order(lengths, 4, 3).batch(order.num_batches) == epochs[1][0]


def test_the_learning_rate_rises_and_then_falls_to_nothing() -> None:
    schedule = Schedule(100, learning_rate=1.0, warmup_steps=9)

    rates = [schedule.rate(step) for step in range(1, 101)]

    assert rates[:10] == pytest.approx([step / 10 for step in range(1, 11)])
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert 0 < rates[-1] < 1e-3


def test_a_checkpoint_holds_only_what_is_trained(make_model: MakeModel) -> None:
    model = make_model()
    model.requires_grad_(False)
    model.model.norm.weight.requires_grad_(True)

    state = Stepper(model, _float32(), 0.0).state()

    assert list(state["weights"]) == ["model.norm.weight"]


@pytest.mark.parametrize("frozen", [(), ("embed_tokens", "mlp")])
def test_a_checkpoint_without_all_that_is_trained_is_refused(
    make_model: MakeModel, frozen: tuple[str, ...]
) -> None:
    model = make_model()
    for name, weight in model.named_parameters():
        weight.requires_grad_(not any(part in name for part in frozen))
    stepper = Stepper(model, _float32(), 0.0)
    state = stepper.state()
    stepper.load(state)
    stepper.load_weights(state)

    del state["weights"]["model.norm.weight"]

    for load in (stepper.load, stepper.load_weights):
        with pytest.raises(EngineError, match=r"lacks 1 of .* model\.norm\.weight"):
            load(state)


def _float32() -> Arithmetic:
    import torch

    return Arithmetic("cpu", torch.float32)
