"""The training loop: from a model and examples to better weights, step by step.

A loop of our own over accelerate, and not transformers' Trainer, whose checkpoints are folders
that a kill leaves half-written and whose batches cannot be told from the step alone.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from canteen.core.errors import InvalidRequest
from canteen.lifecycle.training import hardware
from canteen.lifecycle.training.batches import Batch, Examples, Order, collate
from canteen.lifecycle.training.checkpoints import Checkpoints
from canteen.lifecycle.training.stepping import Arithmetic, Stepper

Tell = Callable[[Mapping[str, Any]], object]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long, how fast and on what a model is trained; counts are of steps.

    `evaluate_every` and `checkpoint_every` are intervals, `patience` is of validations without
    gain (0 never stops early), `device` and `dtype` are as in the specifications.
    """

    steps: int
    batch_size: int = 8
    accumulate: int = 1
    learning_rate: float = 5e-4
    warmup_steps: int = 0
    weight_decay: float = 0.0
    seed: int = 0
    evaluate_every: int = 50
    checkpoint_every: int = 50
    patience: int = 0
    device: str = "auto"
    dtype: str = "auto"
    compile: bool = False

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 1: it rises, then falls as half a cosine."""
        if step <= self.warmup_steps:
            return self.learning_rate * step / (self.warmup_steps + 1)
        done = (step - 1 - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run keeps its checkpoints, and whom it tells what happens.

    `sample`, if given, writes a text with the model as it is after a step.
    """

    folder: Path
    tell: Tell
    sample: Callable[[int], str] | None = None
    clock: Callable[[], float] = time.perf_counter


@dataclass(frozen=True, slots=True)
class Fitted:
    """What became of it. The model has the weights of `best_step`, if anything was validated.

    `stopped` says why it ended early, and is empty if it did not. `tokens_per_s` and `mfu` are
    medians of the steps since it went on last; None without any, and where no peak is known.
    """

    steps: int
    best_step: int
    validation_loss: float | None
    tokens: int
    stopped: str
    tokens_per_s: float | None = None
    mfu: float | None = None


@dataclass(slots=True)
class State:
    """How far a run is; `waited` counts validations since the best one."""

    step: int = 0
    tokens: int = 0
    best_step: int = 0
    best_loss: float | None = None
    waited: int = 0


def fit(
    model: Any, train: Examples, validation: Examples, schedule: Schedule, place: Place
) -> Fitted:
    """Train `model` in place, from the last checkpoint in the place's folder if there is one.

    Examples are mappings of `input_ids` and `labels`, the latter NO_LOSS where nothing is to be
    learnt; the loss is the mean over all other tokens of a step. Weights that need no gradient
    stay as they are. Raises InvalidRequest where the loss is no number any more, and StorageFull
    where a checkpoint finds no room.
    """
    device = hardware.device_for(schedule.device)
    arithmetic = Arithmetic(device, hardware.dtype_for(schedule.dtype, device), schedule.compile)
    stepper = Stepper(model.to(device), arithmetic, schedule.weight_decay)
    run = _Run(stepper, _Feed(train, validation, schedule, stepper), schedule, place)
    run.resume()
    while run.state.step < schedule.steps and not run.is_patience_over():
        run.advance()
    return run.finish()


class _Feed:
    """The batches of each step, and those of a validation."""

    def __init__(
        self, train: Examples, validation: Examples, schedule: Schedule, stepper: Stepper
    ) -> None:
        self._train, self._validation = train, validation
        self._accumulate = schedule.accumulate
        self._device = stepper.device
        self._rank, self._ranks = stepper.share
        lengths = [len(example["input_ids"]) for example in train]
        self._order = Order(lengths, schedule.batch_size, schedule.seed)
        by_length = sorted(range(len(validation)), key=lambda i: len(validation[i]["input_ids"]))
        size = schedule.batch_size
        self._checks = [by_length[i : i + size] for i in range(0, len(by_length), size)]

    def of_step(self, step: int) -> list[Batch]:
        """This process's batches of a step, counted from 1."""
        first = ((step - 1) * self._ranks + self._rank) * self._accumulate
        return [
            self._batch(self._train, self._order.batch(number))
            for number in range(first, first + self._accumulate)
        ]

    def of_validation(self) -> Iterator[Batch]:
        """All examples that are validated on, batch by batch."""
        return (self._batch(self._validation, indices) for indices in self._checks)

    @property
    def has_validation(self) -> bool:
        return bool(self._checks)

    def _batch(self, examples: Examples, indices: Sequence[int]) -> Batch:
        return collate([examples[i] for i in indices], self._device)


class _Run:
    def __init__(self, stepper: Stepper, feed: _Feed, schedule: Schedule, place: Place) -> None:
        self.state = State()
        self._stepper = stepper
        self._feed = feed
        self._schedule = schedule
        self._place = place
        self._checkpoints = Checkpoints(place.folder / "checkpoints")
        self._is_first = stepper.share[0] == 0
        self._speeds: list[dict[str, float]] = []

    def resume(self) -> None:
        """Go on from the newest checkpoint, if there is one."""
        steps = self._checkpoints.steps()
        if steps:
            saved = self._checkpoints.load(steps[-1])
            self._stepper.load(saved)
            self.state = State(**saved["state"])
            self._tell("resumed", tokens=self.state.tokens)

    def advance(self) -> None:
        """Do one step, and what is due after it."""
        state, schedule = self.state, self._schedule
        rate = schedule.rate(state.step + 1)
        started = self._place.clock()
        loss, norm, tokens = self._stepper.step(
            self._feed.of_step(state.step + 1), rate, schedule.seed + state.step
        )
        took_s = self._place.clock() - started
        state.step += 1
        self._refuse_unless_finite("loss" if not math.isfinite(loss) else "gradient", loss, norm)
        state.tokens += tokens
        self._speeds.append(self._speed(tokens, took_s))
        self._tell(
            "step",
            steps=schedule.steps,
            loss=loss,
            learning_rate=rate,
            tokens=state.tokens,
            memory_bytes=hardware.memory_bytes(),
            **self._speeds[-1],
        )
        is_best = self._is_due(schedule.evaluate_every) and self._validate()
        if is_best or self._is_due(schedule.checkpoint_every):
            self._save()

    def _is_due(self, every: int) -> bool:
        return self.state.step % every == 0 or self.state.step == self._schedule.steps

    def _speed(self, tokens: int, took_s: float) -> dict[str, float]:
        """Tokens a second of a step, and the part used of what the devices could do at most."""
        per_s = tokens / took_s if took_s > 0 else 0.0
        peak = hardware.peak_flops(self._stepper.device)
        if peak is None:
            return {"tokens_per_s": per_s}
        mfu = per_s * self._stepper.flops_per_token / peak / self._stepper.share[1]
        return {"tokens_per_s": per_s, "mfu": mfu}

    def _median(self, name: str) -> float | None:
        told = [speed[name] for speed in self._speeds if name in speed]
        return median(told) if told else None

    def _validate(self) -> bool:
        """Whether the weights are the best so far."""
        if not self._feed.has_validation:
            return False
        loss = self._stepper.mean_loss(self._feed.of_validation())
        self._refuse_unless_finite("validation loss", loss)
        self._tell("validation", loss=loss, perplexity=math.exp(min(loss, 700)))
        if self._place.sample is not None and self._is_first:
            self._tell("sample", text=self._place.sample(self.state.step))
        state = self.state
        is_best = state.best_loss is None or loss < state.best_loss
        if is_best:
            state.best_step, state.best_loss, state.waited = state.step, loss, 0
        else:
            state.waited += 1
        return is_best

    def _save(self) -> None:
        self._refuse_unless_finite("weights", 0.0 if self._stepper.is_finite() else math.nan)
        saved = {**self._stepper.state(), "state": asdict(self.state)}
        if self._is_first:
            self._checkpoints.save(self.state.step, saved, {self.state.best_step})
            self._tell("checkpoint")

    def is_patience_over(self) -> bool:
        """Whether it has validated in vain for as long as it was to."""
        return 0 < self._schedule.patience <= self.state.waited

    def finish(self) -> Fitted:
        """Take the best weights, and tell what became of it."""
        state = self.state
        stopped = ""
        if self.is_patience_over():
            stopped = (
                f"{state.waited} validations brought no gain; "
                f"the weights of step {state.best_step} are kept"
            )
            self._tell("stopped", why=stopped)
        if state.best_step and state.best_step != state.step:
            self._stepper.load_weights(self._checkpoints.load(state.best_step))
        return Fitted(
            steps=state.step,
            best_step=state.best_step,
            validation_loss=state.best_loss,
            tokens=state.tokens,
            stopped=stopped,
            tokens_per_s=self._median("tokens_per_s"),
            mfu=self._median("mfu"),
        )

    def _refuse_unless_finite(self, what: str, *values: float) -> None:
        if all(math.isfinite(value) for value in values):
            return
        kept = self._checkpoints.steps()[-1:]
        rest = f"the checkpoint of step {kept[0]} is kept" if kept else "no checkpoint was due yet"
        why = f"at step {self.state.step} the {what} was no number any more; {rest}"
        self._tell("stopped", why=why)
        raise InvalidRequest(
            f"{why}; ask for a lower learning rate than {self._schedule.learning_rate:g}",
            param="learning_rate",
            code="training_diverged",
        )

    def _tell(self, event: str, **facts: Any) -> None:
        if self._is_first:
            self._place.tell({"event": event, "step": self.state.step, **facts})
