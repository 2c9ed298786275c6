"""What is noted of a request while it is answered, for the access log and the metrics."""

import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from canteen.api.terms import Terms
from canteen.core.access import Caller
from canteen.core.errors import CanteenError, Forbidden, InvalidRequest
from canteen.core.footprint import new_receipt_id
from canteen.core.generation import (
    Chunk,
    EmbeddingRequest,
    Embeddings,
    GenerationRequest,
    ScoreRequest,
    Scores,
    Usage,
)
from canteen.core.model import full_name
from canteen.metering.keys.limiter import Account, Part

if TYPE_CHECKING:
    from canteen.bootstrap import Services

Asked = TypeVar("Asked", GenerationRequest, EmbeddingRequest, ScoreRequest)

CONVERSATION = "x-conversation-id"
SANE_CONVERSATION = re.compile(r"[\x21-\x7e]{1,128}")


@dataclass(slots=True)
class Observation:
    """A request's record in the making; times are of `clock`.

    `route` is the path that was asked, `pattern` that of the row which answers it.
    `is_waiting` tells whether it still waits for its model or its turn. `receipt_id` is that of
    its receipt, if a model works for it, `audit` the hash of its record, if there is one. `caller`
    is who shows a key, where keys are asked for, and `account` what it is counted on, where its
    key has limits. `ignored` are the keys of its body that nobody looks at.
    """

    request_id: str
    trace_id: str
    caller_id: str
    terms: Terms = field(default_factory=Terms)
    clock: Callable[[], float] = time.monotonic
    arrived_s: float = field(init=False)
    receipt_id: str = field(default_factory=new_receipt_id)
    conversation_id: str = ""
    span_id: str = ""
    audit: str = ""
    route: str = ""
    pattern: str = ""
    operation: str = ""
    ignored: tuple[str, ...] = ()
    model: str = ""
    status: int = 0
    usage: Usage = field(default_factory=Usage)
    finish_reason: str = ""
    error_code: str = ""
    is_gone: bool = False
    is_streamed: bool = False
    num_tokens: int = 0
    is_waiting: Callable[[], bool] = field(default=lambda: False)
    deadline_s: float | None = None
    caller: Caller | None = None
    account: Account | None = None
    first_token_s: float | None = None
    first_sent_s: float | None = None
    last_token_s: float | None = None

    def __post_init__(self) -> None:
        self.arrived_s = self.clock()

    @property
    def ttft_s(self) -> float | None:
        """Arrival to the first byte of the answer sent, or to its first token if not streamed."""
        first_s = self.first_sent_s if self.first_sent_s is not None else self.first_token_s
        return None if first_s is None else first_s - self.arrived_s

    @property
    def tpot_s(self) -> float | None:
        """Mean seconds between tokens after the first."""
        if self.first_token_s is None or self.last_token_s is None or self.num_tokens < 2:
            return None
        return (self.last_token_s - self.first_token_s) / (self.num_tokens - 1)

    def see(self, chunk: Chunk) -> None:
        """Note a chunk of the answer."""
        if chunk.num_tokens:
            self.num_tokens += chunk.num_tokens
            self.last_token_s = self.clock()
            if self.first_token_s is None:
                self.first_token_s = self.last_token_s
        if chunk.finish_reason:
            self.finish_reason = chunk.finish_reason
        if chunk.usage is not None:
            self.usage = self.usage + chunk.usage

    def fail(self, error: CanteenError) -> None:
        """Note the error that ended the request."""
        self.error_code = error.code


def conversation_of(headers: Mapping[str, str], metadata: object) -> str:
    """The conversation that a request is part of, by its header, else by its body's `metadata`.

    Raises InvalidRequest for an id that cannot stand in a line of a log.
    """
    told = headers.get(CONVERSATION)
    if told is None and isinstance(metadata, Mapping):
        told = metadata.get("conversation_id")
    if told is None:
        return ""
    if not isinstance(told, str) or not SANE_CONVERSATION.fullmatch(told):
        raise InvalidRequest(
            "a conversation id is 1 to 128 printable ASCII characters without spaces",
            param="conversation_id",
        )
    return told


def observed(services: "Services", observation: Observation) -> "Services":
    """The same services, whose generating, scoring and embedding is noted."""
    return cast("Services", _Observed(services, observation))


class _Observed:
    """Passes everything on, with the caller's terms, and notes what matters."""

    def __init__(self, services: "Services", observation: Observation) -> None:
        self._services = services
        self._observation = observation

    def __getattr__(self, name: str) -> Any:
        return getattr(self._services, name)

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]:
        request = self._on_terms(request, is_streamed=request.is_streamed)
        async with (
            self._held(request) as (request, part),
            aclosing(self._services.generate(request)) as chunks,
        ):
            async for chunk in chunks:
                self._observation.see(chunk)
                if chunk.usage is not None and part is not None:
                    # Nobody has a whole answer that is not booked.
                    await part.settle()
                yield chunk

    async def score(self, request: ScoreRequest) -> Scores:
        request = self._on_terms(request, is_streamed=False)
        async with self._held(request) as (request, part):
            made = await self._services.score(request)
            if part is not None:
                await part.settle()
        self._observation.usage = self._observation.usage + made.usage
        return made

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        request = self._on_terms(request, is_streamed=False)
        async with self._held(request) as (request, part):
            made = await self._services.embed(request)
            if part is not None:
                await part.settle()
        self._observation.usage = self._observation.usage + made.usage
        return made

    async def load(self, model: str, keep_alive_s: float | None = None) -> float:
        self._check(model)
        return await self._services.load(model, keep_alive_s)

    async def unload(self, model: str) -> None:
        self._check(model)
        await self._services.unload(model)

    async def context_length(self, model: str) -> int:
        self._check(model)
        return await self._services.context_length(model)

    def _check(self, model: str) -> None:
        """Raises Forbidden for a model that the caller's key is not for."""
        caller = self._observation.caller
        if caller is not None and not caller.may_ask(full_name(model)):
            raise Forbidden(
                f"this key may not ask '{model}'; ask another model, or for another key",
                param="model",
                code="model_not_allowed",
            )

    @asynccontextmanager
    async def _held(self, request: Asked) -> AsyncIterator[tuple[Asked, Part | None]]:
        """While what the request may take is held for it, where its key has limits."""
        account = self._observation.account
        if account is None:
            yield request, None
            return
        request, part = await account.reserve(request)
        try:
            yield request, part
        finally:
            part.give_up()

    def _on_terms(self, request: Asked, *, is_streamed: bool) -> Asked:
        self._check(request.model)
        observation, terms = self._observation, self._observation.terms
        # Of a task that asks several, the one that writes.
        if not observation.model or not isinstance(request, EmbeddingRequest):
            observation.model = request.model
        # Not the request itself, whose text would then live as long as a collection takes.
        services, request_id = self._services, request.id
        observation.is_waiting = lambda: request_id in services.waiting
        observation.deadline_s = terms.deadline_s(
            observation.arrived_s,
            self._services.settings.request_timeout_s,
            is_streamed=is_streamed,
        )
        return replace(
            request,
            deadline_s=observation.deadline_s,
            priority="batch" if terms.priority == "batch" else request.priority,
            is_retry=terms.num_retries > 0,
            receipt_id=observation.receipt_id,
            conversation_id=observation.conversation_id,
            operation=observation.operation,
        )
