"""The jobs that make a model: fine-tuning one, and training one from scratch."""

import asyncio
import dataclasses
import json
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from canteen.core.errors import EngineError, Forbidden, InvalidRequest, ModelUnsuitable
from canteen.core.footprint import Footprint
from canteen.core.model import Progress, full_name
from canteen.core.training_run import TrainingRun
from canteen.lifecycle import files
from canteen.lifecycle.jobs import report
from canteen.lifecycle.jobs.events import EVENTS, EventLog
from canteen.lifecycle.jobs.job import Job
from canteen.lifecycle.jobs.runner import Desk
from canteen.lifecycle.training import data, finetune, packages, scratch
from canteen.lifecycle.training.specs import Finetune, Train

PROGRAM = "canteen.lifecycle.training"
RESULT = Path("result", "model.gguf")
SPEC = "spec.json"
EXAMPLES = "examples.jsonl"
PARENT = "parent.gguf"
WORKS = "works.jsonl"
# What came of it, once it has its name.
MADE = "made.json"
GIVEN = "given.jsonl"
# The code of a loss that is no number any more.
DIVERGED = "training_diverged"
# Tokens of an example at most, where nobody says.
USUAL_TOKENS = 512
# OpenVINO's fused feed-forward refuses other widths on processors with AMX.
KERNEL_WIDTH = 64
# What a program's last line names that was not to be done.
_OURS = (InvalidRequest, ModelUnsuitable, EngineError)


class Tab(Protocol):
    """What a training has taken so far."""

    tokens: int

    def watch(self, pid: int) -> AbstractContextManager[None]: ...

    def footprint(self) -> Footprint: ...


class Running(Protocol):
    """A program under way, and why it ended."""

    def lines(self) -> AsyncIterator[bytes]: ...

    def failure(self) -> EngineError: ...


# The chat that asks for a label, and the answer; the number of the example turns the labels.
Chat = Callable[[str, str, int], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Parent:
    """What a fine-tune starts from: a GGUF file, its digest, and how many tokens it holds, 0 where
    that is not known."""

    gguf: Path
    digest: str
    context_length: int = 0


@dataclass(frozen=True, slots=True)
class Ports:
    """What the jobs are given by the rooms that they do not know.

    `source`: what of a model can be trained on; raises InvalidRequest. `estimate`: of a
    specification and how often it runs the model, refusing what does not fit. `program`: runs a
    module on a folder. `tab`: opens the account of a training, by its receipt's id and the digest
    of what it starts from. `adopt`: takes a GGUF into the store. `chat`: how a label is asked for.
    """

    home: Path
    source: Callable[[str], Parent]
    estimate: Callable[[Any, TrainingRun], Mapping[str, Any]]
    program: Callable[[Sequence[str], Path, Tab], AbstractAsyncContextManager[Running]]
    tab: Callable[[Job, str, str], AbstractContextManager[Tab]]
    adopt: Callable[[Path, str, Mapping[str, Any]], AsyncGenerator[Progress]]
    digest: Callable[[str], str]
    chat: Callable[[Sequence[str], Mapping[str, str]], Chat]


class Training:
    """A job whose program trains in the job's folder; what it made is prepared and named."""

    spec: type[Any]

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def run(self, job: Job, desk: Desk) -> Mapping[str, Any]:
        """Train, then prepare the weights and give them their name."""
        made = desk.folder / MADE
        if not made.exists():
            result = await self._made(job, desk)
            await asyncio.to_thread(files.write_whole, made, json.dumps(result).encode())
        # From here on nothing is done again, not even after a kill.
        await asyncio.to_thread(_tidy, desk.folder)
        told: dict[str, Any] = json.loads(made.read_text("utf-8"))
        return told

    async def _made(self, job: Job, desk: Desk) -> dict[str, Any]:
        lineage = {"job": job.id, "kind": job.kind, **_read(desk.folder)["lineage"]}
        with self._ports.tab(job, desk.receipt_id, lineage.get("parent_digest", "")) as tab:
            told = await self._trained(desk, tab)
        weights = desk.folder / RESULT
        async with aclosing(self._ports.adopt(weights, job.name, lineage)) as steps:
            async for step in steps:
                desk.tell({"status": step.status, "completed": step.completed, "total": step.total})
        return {**told, "model": job.name, "digest": self._ports.digest(job.name)}

    async def _trained(self, desk: Desk, tab: Tab) -> Mapping[str, Any]:
        """The last thing that the program says."""
        last: dict[str, Any] = {}
        before = report.taken(await asyncio.to_thread(EventLog(desk.folder / EVENTS).read))
        begins_at = 0
        async with self._ports.program((PROGRAM, str(desk.folder)), desk.folder, tab) as running:
            async for line in running.lines():
                last = json.loads(line)
                if last.get("event") == "resumed":
                    begins_at = last["tokens"]
                if "tokens" in last:
                    tab.tokens = last["tokens"] - begins_at
                if "result" not in last and "error" not in last:
                    desk.tell({**last, **_eaten(tab, last, before)})
            if "result" not in last and "error" not in last:
                raise running.failure()
        if "error" in last:
            raise _error(last)
        result: dict[str, Any] = last["result"]
        return result


class Finetuning(Training):
    """A fine-tune; what it learns from is checked and split before it begins."""

    spec = Finetune

    def given(
        self, spec: Finetune, examples: Sequence[Mapping[str, Any]], folder: Path
    ) -> Finetune:
        """With its examples in a file."""
        path = folder / GIVEN
        _write_lines(path, examples)
        return dataclasses.replace(spec, data=str(path))

    def check_remote(self, spec: Finetune) -> None:
        """Only built-in sets go by a name over HTTP."""
        from canteen.lifecycle.evaluate import datasets

        if spec.data not in {one.name for one in datasets.built_in("classify")}:
            raise Forbidden(
                "over HTTP `data` names a built-in set; send other examples as `examples`",
                param="data",
            )

    def check(self, spec: Finetune, folder: Path) -> Mapping[str, Any]:
        """Read the examples, split them, and see that they and the model can be had."""
        _check_name(spec)
        packages.check(spec)
        _check_told(spec)
        parent = self._ports.source(spec.model)
        spec = dataclasses.replace(spec, context_length=_context_length(spec, parent))
        examples = self._examples(spec)
        parts = data.split(examples, spec.validation_share, spec.seed)
        as_chat = self._chats(examples)
        chats = [
            {"part": part, **as_chat(one, number), "place": one.place}
            for part, members in parts.items()
            for number, one in enumerate(members)
        ]
        _write_lines(folder / EXAMPLES, chats)
        lineage = {
            "parent": spec.model,
            "parent_digest": parent.digest,
            "data_digest": data.digest(examples),
        }
        _write(folder, "finetune", spec, {"gguf": PARENT, "lineage": lineage})
        estimate = self._ports.estimate(spec, finetune.foreseen(spec, chats))
        _hold(parent.gguf, folder / PARENT)
        return {"examples": {name: len(members) for name, members in parts.items()}, **estimate}

    def _examples(self, spec: Finetune) -> Sequence[data.Example]:
        path = Path(spec.data)
        if path.is_file():
            return data.read(path, spec.max_examples)
        if path.suffix or len(path.parts) > 1:
            raise InvalidRequest(f"no such file: {spec.data}", param="data")
        from canteen.lifecycle.evaluate import datasets

        train = datasets.load(spec.data, "classify", self._ports.home).train
        if not train:
            raise InvalidRequest(f"'{spec.data}' has no part to learn from", param="data")
        return data.labelled([(one.text, one.label) for one in train], spec.max_examples)

    def _chats(self, examples: Sequence[data.Example]) -> Callable[[data.Example, int], Any]:
        """Each example as the chat that it is learned from."""
        labels = data.labels(examples)
        if not labels:
            return lambda one, _: one.chat()
        ask = self._ports.chat(labels, {})
        return lambda one, number: ask(one.text, one.label, number)


class FromScratch(Training):
    """A training from nothing but texts."""

    spec = Train

    def given(self, spec: Train, examples: Sequence[Mapping[str, Any]], folder: Path) -> Train:
        """A training learns from texts."""
        raise InvalidRequest("a training takes a corpus and no examples", param="examples")

    def check_remote(self, spec: Train) -> None:
        """Only built-in texts go by a name over HTTP."""
        from canteen.lifecycle.training import texts

        if unknown := [name for name in spec.corpus if name not in texts.NAMES]:
            raise Forbidden(
                f"over HTTP a corpus is a built-in text, and '{unknown[0]}' is none; "
                f"there are {', '.join(texts.NAMES)}",
                param="corpus",
            )

    def check(self, spec: Train, folder: Path) -> Mapping[str, Any]:
        """See that the texts can be had."""
        from canteen.lifecycle.training import corpus

        packages.check(spec)
        for name in ("hidden_size", "ff_size"):
            if getattr(spec, name) % KERNEL_WIDTH:
                raise InvalidRequest(
                    f"{name} must be a multiple of {KERNEL_WIDTH}, for the engine that serves it",
                    param=name,
                )
        works = corpus.checked(spec, self._ports.home)
        corpus.keep(works, folder / WORKS)
        lineage = {"data_digest": works.digest}
        _write(folder, "train", spec, {"home": str(self._ports.home), "lineage": lineage})
        return self._ports.estimate(spec, scratch.foreseen(spec, works))


def _check_told(spec: Finetune) -> None:
    if not spec.model:
        raise InvalidRequest("say which model to start from, as in smollm2:135m", param="model")
    if not spec.data:
        raise InvalidRequest(
            "say what to learn from with data: a JSONL file, or a built-in classification set",
            param="data",
        )


def _context_length(spec: Finetune, parent: Parent) -> int:
    """Tokens of an example at most; raises InvalidRequest for more than the model holds."""
    holds = parent.context_length
    told = spec.context_length
    if told is None:
        return min(USUAL_TOKENS, holds or USUAL_TOKENS)
    if holds and told > holds:
        raise InvalidRequest(
            f"context_length is {told:,}, and {spec.model} holds {holds:,} tokens; "
            f"take {holds:,} at most",
            param="context_length",
        )
    return told


def _check_name(spec: Finetune) -> None:
    if spec.model and full_name(spec.model) == full_name(spec.name):
        raise InvalidRequest(
            f"'{spec.name}' is the model that it starts from; give the result another name",
            param="name",
        )


def _write_lines(path: Path, values: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for value in values:
            file.write(json.dumps(value, ensure_ascii=False) + "\n")


def _write(folder: Path, kind: str, spec: Any, inputs: Mapping[str, Any]) -> None:
    told = {"kind": kind, "spec": dataclasses.asdict(spec), **inputs}
    (folder / SPEC).write_text(json.dumps(told, ensure_ascii=False), "utf-8")


def _read(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / SPEC).read_text("utf-8"))
    return told


def _eaten(tab: Tab, event: Mapping[str, Any], before: Mapping[str, float]) -> dict[str, Any]:
    """Energy and money so far, beside a step; `before` is what the job's earlier runs took."""
    if event.get("event") != "step":
        return {}
    told = tab.footprint()
    eaten = {"energy_wh": told.energy.to("Wh").central}
    if told.cost is not None:
        eaten["cost_usd"] = told.cost.to("USD").central
    return {name: value + before.get(name, 0.0) for name, value in eaten.items()}


def _hold(file: Path, path: Path) -> None:
    """Have a file of the store stay for this job, whatever becomes of its model."""
    try:
        path.hardlink_to(file)
    except OSError:
        shutil.copyfile(file, path)


def _tidy(folder: Path) -> None:
    """Take away what only the work needed."""
    for name in (RESULT, PARENT, WORKS):
        (folder / name).unlink(missing_ok=True)


def _error(last: Mapping[str, Any]) -> InvalidRequest | EngineError:
    if last.get("code") == DIVERGED:
        return InvalidRequest(last["error"], param="learning_rate", code=DIVERGED)
    for kind in _OURS:
        if last.get("code") == kind.code:
            return kind(last["error"])
    return EngineError(last["error"], code=last.get("code"))
