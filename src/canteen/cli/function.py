"""An LLM is a function: `canteen.LLM("smollm2:135m")("who is Oppenheimer")`."""

import asyncio
import atexit
import itertools
import json
import queue
import threading
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Coroutine,
    Generator,
    Iterable,
    Mapping,
    Sequence,
)
from concurrent.futures import Future
from contextlib import ExitStack, aclosing, asynccontextmanager, closing
from dataclasses import replace
from functools import partial
from typing import Any, Self, TypeVar

from canteen.bootstrap import Services
from canteen.cli import store
from canteen.cli.named_index import Desk, NamedIndex
from canteen.core.classifier import Classifier
from canteen.core.engine import fold
from canteen.core.errors import CanteenError, InvalidRequest
from canteen.core.footprint import Charge, Footprint, Receipt, new_receipt_id
from canteen.core.generation import (
    Chunk,
    EmbeddingRequest,
    Embeddings,
    GenerationRequest,
    Grammar,
    Message,
    SamplingParams,
    ScoreRequest,
    Scores,
)
from canteen.tasks import classify, decide, system_one
from canteen.tasks.batch import each
from canteen.tasks.classify import Classified
from canteen.tasks.doing import Item, do
from canteen.tasks.extract import Extracted
from canteen.tasks.fitting import FitRequest
from canteen.tasks.library import IndexRequest
from canteen.tasks.model import Model
from canteen.tasks.rewrite import Rewritten
from canteen.tasks.searching import Searched
from canteen.tasks.summarize import Summarized
from canteen.tasks.system_one import Question
from canteen.tasks.table import TASKS, Task

# The likeliest completion, and a little less likely where a small model repeats itself.
DEFAULTS = {"temperature": 0.0, "repetition_penalty": 1.1}

T = TypeVar("T")
Messages = Sequence[Mapping[str, str]]

_ids = itertools.count()


def generation(
    model: str,
    prompt: str | Messages,
    *,
    system: str | None = None,
    schema: Mapping[str, Any] | None = None,
    is_streamed: bool = False,
    **sampling: Any,
) -> GenerationRequest:
    """A request as a Python programmer says it; raises InvalidRequest for what it cannot be.

    `sampling` are the fields of SamplingParams (max_tokens, temperature, top_p, seed, stop, ...);
    without them the likeliest completion is taken.
    """
    messages = [Message("user", prompt)] if isinstance(prompt, str) else _messages(prompt)
    if system is not None:
        messages.insert(0, Message("system", system))
    stop = sampling.get("stop", ())
    sampling["stop"] = (stop,) if isinstance(stop, str) else tuple(stop)
    try:
        params = SamplingParams(**DEFAULTS | sampling)
    except TypeError as exc:
        known = ", ".join(SamplingParams.__dataclass_fields__)
        raise InvalidRequest(f"unknown option; the options are {known}") from exc
    return GenerationRequest(
        f"local-{next(_ids)}",
        model,
        tuple(messages),
        sampling=params,
        grammar=None if schema is None else Grammar("json_schema", json.dumps(schema)),
        is_streamed=is_streamed,
        receipt_id=new_receipt_id(),
        operation="generate",
    )


def _messages(messages: Messages) -> list[Message]:
    try:
        return [Message(one["role"], one["content"]) for one in messages]  # type: ignore[arg-type]
    except (KeyError, TypeError) as exc:
        raise InvalidRequest("a message is a mapping with 'role' and 'content'") from exc


class LLM:
    """A model as a function, run by a worker process of its own.

    The model is pulled if it is on the menu and not in the store yet. Also a context manager;
    without it, the worker ends with the program. `receipt` tells what the last answer ate and
    drank; all answers are of one conversation, if it has an id.
    """

    def __init__(self, model: str | None = None, *, conversation_id: str = "") -> None:
        self._services: Services = store.services()
        self.model = model or self._services.settings.default_model
        self._embedder = self._services.settings.default_embedder
        self.receipt: Receipt | None = None
        self._conversation_id = conversation_id
        self._charge = Charge()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        atexit.register(self.close)
        with ExitStack() as on_failure:
            on_failure.callback(self.close)
            self._run(store.ensure(self._services, self.model))
            on_failure.pop_all()

    def __call__(self, prompt: str | Messages, **options: Any) -> Any:
        """The completion of a prompt or of chat messages: text, or with `schema=` an object.

        Options: system, schema, and those of SamplingParams (max_tokens, temperature, top_p,
        top_k, seed, stop, ...). Raises InvalidRequest, Overloaded or EngineError.
        """
        request = generation(self.model, prompt, **options)
        completion = self._run(fold(self._generate(request)))
        return completion.text if request.grammar is None else json.loads(completion.text)

    def stream(self, prompt: str | Messages, **options: Any) -> Generator[str, None, None]:
        """The pieces of the completion as they come; to stop early is to cancel."""
        request = generation(self.model, prompt, is_streamed=True, **options)
        with closing(self._as_they_come(self._generate(request))) as chunks:
            yield from (chunk.text for chunk in chunks if chunk.text)

    def embed(self, texts: Sequence[str]) -> list[tuple[float, ...]]:
        """Unit vectors, shape (texts, dimensions), of an embedding model."""
        request = EmbeddingRequest(
            f"local-{next(_ids)}",
            self.model,
            tuple(texts),
            receipt_id=new_receipt_id(),
            conversation_id=self._conversation_id,
            operation="embeddings",
        )
        return list(self._run(self._embed(request)).vectors)

    def classify(self, text: str, labels: Sequence[str] = (), **options: Any) -> Classified:
        """Which of the labels a text bears, with a probability for each."""
        done: Classified = self._one("classify", text, labels=tuple(labels), **options)
        return done

    def extract(
        self, text: str, types: Sequence[str] | Mapping[str, str] = (), **options: Any
    ) -> Extracted:
        """Entities of some types (names, or descriptions by name), or with `schema=` the values
        of a JSON Schema; each quote with its place in the text."""
        named = types if isinstance(types, Mapping) else list(types)
        done: Extracted = self._one("extract", text, types=named, **options)
        return done

    def decide(
        self, state: Any, questions: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """Answers, by name, to System One's questions about a state: each has a `type` (`noul`,
        `choice`, `score`), `instructions` and, where there are any, `criteria`."""
        try:
            asked = {name: Question(**one) for name, one in questions.items()}
        except TypeError as exc:
            raise InvalidRequest(
                "a question has type, instructions and criteria", param="questions"
            ) from exc
        return self._run(self._decide(state, asked))

    def fit(self, name: str, examples: Iterable[Mapping[str, str]], **options: Any) -> Classifier:
        """Fit a classifier to examples, each with `text` and `label`, for
        `classify(text, classifier=name)`.

        Options: method (`score` calibrates the language model, `head` is a linear classifier on
        embeddings), labels, descriptions. Its `report` is of examples held back.
        """
        return self._run(self._fit(name, FitRequest(tuple(examples), **options)))  # type: ignore[arg-type]

    def summarize(self, text: Item, **options: Any) -> Summarized:
        """What a text or document of any length says, in few sentences."""
        done: Summarized = self._one("summarize", text, **options)
        return done

    def prompt(self, name: str, /, **inputs: Any) -> Any:
        """The answer to a stored prompt (`canteen prompt add NAME …`): text, or an object where
        it declares an output. NAME@2 is its second version."""
        return self._one(self._stored(name), inputs).result

    def rewrite(self, text: Item, **options: Any) -> Rewritten:
        """The same said otherwise, with what must stay checked, and a diff."""
        done: Rewritten = self._one("rewrite", text, **options)
        return done

    def each(
        self, task: str | Task, texts: Iterable[Item], **options: Any
    ) -> Generator[Any, None, None]:
        """The result of a task (`classify`, …, or a stored prompt) for each text, in order and as
        they come; in place of one that fails, its error. Raises InvalidRequest for options that
        are wrong."""
        what = task if isinstance(task, Task) else TASKS.get(task) or self._stored(task)
        # Wrong options are wrong for every text.
        wanted = what.request("", **options)
        if getattr(wanted, "needs_embedder", False):
            self._run(store.ensure(self._services, self._embedder))
        yield from self._as_they_come(self._outcomes(what, list(texts), options))

    def index(self, name: str, **options: Any) -> NamedIndex:
        """The search index of a name; the first documents that it is given make it.

        Options are of one to be made: embedder, characters, overlap, language.
        """
        desk = Desk(self._services, self._run, self._as_they_come, self._at_work)
        return NamedIndex(desk, IndexRequest(name, **options))

    def search(self, name: str, query: str, **options: Any) -> Searched:
        """The passages of an index that say most about a query, best first.

        Options: limit, mode (`hybrid`, `vector`, `text`), filter, answer (let the model write one
        from what is found, with citations).
        """
        return self.index(name).search(query, **options)

    def _one(self, task: str | Task, text: Item, **options: Any) -> Any:
        (outcome,) = self.each(task, [text], **options)
        if isinstance(outcome, CanteenError):
            raise outcome
        return outcome

    def _stored(self, name: str) -> Task:
        from canteen.tasks import prompted

        stored = self._services.prompts.get(name)
        return prompted.task(stored.name, stored.version, stored.source)

    def footprint(self) -> Footprint:
        """What all answers so far ate and drank together."""
        return self._services.accounting.rates.footprint(self._charge)

    def close(self) -> None:
        """End the worker; the function cannot be called any more."""
        atexit.unregister(self.close)
        if self._loop.is_closed():
            return
        self._run(self._services.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"canteen.LLM({self.model!r})"

    async def _generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]:
        """Answer, and make out the receipt, however it ends."""
        request = replace(request, conversation_id=self._conversation_id)
        try:
            async with aclosing(self._services.generate(request)) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            self._settle(request.receipt_id)

    async def _outcomes(
        self, task: Task, items: Sequence[Item], options: Mapping[str, Any]
    ) -> AsyncGenerator[Any]:
        version = task.version_of(task.request("", **options))
        async with (
            self._at_work(task.name, version) as model,
            aclosing(each(items, partial(do, task, model, options))) as outcomes,
        ):
            async for outcome in outcomes:
                yield outcome

    async def _decide(
        self, state: Any, questions: Mapping[str, Question]
    ) -> dict[str, dict[str, Any]]:
        async with self._at_work("decide", decide.PROMPT.id) as model:
            told, _ = await system_one.answers(model, state, questions)
            return told

    async def _fit(self, name: str, request: FitRequest) -> Classifier:
        if request.method == "head":
            await store.ensure(self._services, self._embedder)
        async with self._at_work("fit", classify.PROMPT.id) as model:
            return await self._services.fit(model, name, request)

    @asynccontextmanager
    async def _at_work(
        self, operation: str, prompt_version: str, embedder: str = ""
    ) -> AsyncIterator[Model]:
        """The models for one piece of work, which has one receipt."""
        receipt_id = new_receipt_id()
        services = Charged(self._services, receipt_id, self._conversation_id, operation)
        work_id = f"local-{next(_ids)}"
        try:
            yield Model(
                services,
                self.model,
                embedder or self._embedder,
                work_id,
                prompt_version=prompt_version,
            )
        finally:
            self._settle(receipt_id)

    async def _embed(self, request: EmbeddingRequest) -> Embeddings:
        try:
            return await self._services.embed(request)
        finally:
            self._settle(request.receipt_id)

    def _as_they_come(self, coming: AsyncGenerator[T]) -> Generator[T, None, None]:
        """Items of the loop's thread; to stop early is to cancel."""
        items: queue.SimpleQueue[T | None] = queue.SimpleQueue()
        pouring = self._start(_pour(coming, items))
        try:
            while (item := items.get()) is not None:
                yield item
            pouring.result()  # raises what ended them early
        finally:
            pouring.cancel()

    def _settle(self, receipt_id: str) -> None:
        self.receipt = self._services.till.settle(receipt_id)
        if self.receipt is not None:
            self._charge += self.receipt.charge

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end; an interruption (Ctrl-C) of the caller cancels the work too."""
        future = self._start(work)
        try:
            return future.result()
        finally:
            future.cancel()

    def _start(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Start on the loop's thread, so that it works where another loop runs, as in Jupyter."""
        if self._loop.is_closed():
            work.close()
            raise InvalidRequest(f"{self!r} is closed; make another")
        return asyncio.run_coroutine_threadsafe(work, self._loop)


class Charged:
    """Services all of whose answers are put on one receipt."""

    def __init__(
        self, services: Services, receipt_id: str, conversation_id: str, operation: str
    ) -> None:
        self._services = services
        self._terms: dict[str, Any] = {
            "receipt_id": receipt_id,
            "conversation_id": conversation_id,
            "operation": operation,
        }
        self.context_length = services.context_length
        self.digest = services.digest
        self.classifier = services.classifier

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]:
        return self._services.generate(replace(request, **self._terms))

    async def score(self, request: ScoreRequest) -> Scores:
        return await self._services.score(replace(request, **self._terms))

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        return await self._services.embed(replace(request, **self._terms))


async def _pour(items: AsyncGenerator[T], into: "queue.SimpleQueue[T | None]") -> None:
    """Put what comes into the queue, and None at the end, however it comes."""
    try:
        async with aclosing(items):
            async for item in items:
                into.put(item)
    finally:
        into.put(None)
