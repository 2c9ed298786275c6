"""The engine for any GGUF: llama.cpp's own server in the worker, a thread per running sequence."""

import queue
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from canteen.core.engine import Capabilities, Delta, EngineStats, Work
from canteen.core.errors import CanteenError, EngineError, InvalidRequest
from canteen.core.generation import Chunk, GenerationRequest, ScorePrompt, ScoreRequest, Usage
from canteen.engines import sampling_limits, scoring_limits
from canteen.engines.llamacpp_grammar import GrammarTrial
from canteen.engines.llamacpp_jobs import Choice, Job, Told, usage
from canteen.engines.llamacpp_requests import completion
from canteen.engines.llamacpp_scoring import Continuation, Prompt, Scoring
from canteen.engines.llamacpp_server import LlamaServer, LlamaTokenizer, Loading
from canteen.engines.prompts import Prompts, about

MOST_TOP_LOGPROBS = 20
# No vocabulary has many tokens of more characters; a text beyond that many a token is not
# tokenized to its end.
LONGEST_TOKEN = 64
# How long a step waits for something to tell.
WAIT_S = 0.05
# The threads of one batch step tell within this time of each other.
TOGETHER_S = 0.002
# What the library is built for (LLAMA_MAX_SEQ).
MOST_SEQUENCES = 256
# Tokens beside those of running sequences: for grammars that are tried.
SPARE_TOKENS = 256


@dataclass(slots=True)
class _Running:
    """One request under way."""

    jobs: Sequence[Job]
    truncated_tokens: int = 0
    num_left: int = field(init=False)

    def __post_init__(self) -> None:
        self.num_left = len(self.jobs)


class LlamaCppEngine:
    """Implements StepEngine over a GGUF file, which `folder` describes; LoRA adapters that lie in
    the folder are put on the model as it is loaded.

    `kv_cache_tokens` is what all sequences may hold together, 0 as much as one may; a request
    starts when all that it may come to has a place there, since what finds none would end
    everybody's. One step computes at most `max_batched_tokens` tokens, or one of each sequence
    where that is more; there are 255 sequences at most. `num_threads` 0 is one for each processor
    we may use; `num_gpu_layers` are computed by a GPU.
    """

    name = "llamacpp"

    def __init__(  # noqa: PLR0913 - what a worker is told by name
        self,
        folder: Path,
        *,
        model: str,
        max_num_seqs: int = 32,
        kv_cache_tokens: int = 0,
        max_batched_tokens: int = 256,
        num_threads: int = 0,
        num_gpu_layers: int = 0,
    ) -> None:
        told = about(folder)
        num_tokens = kv_cache_tokens or int(told["context_length"])
        # One more place is for a grammar that is tried.
        max_num_seqs = min(max_num_seqs, MOST_SEQUENCES - 1)
        self._server = LlamaServer(
            Loading(
                Path(model),
                sorted(folder.glob("adapter-*.gguf")),
                num_tokens + SPARE_TOKENS,
                max_num_seqs + 1,
                max_batched_tokens,
                num_threads,
                num_gpu_layers,
            )
        )
        tokenizer = LlamaTokenizer(self._server, told["bos_token_id"], told["eos_token_ids"])
        self._prompts = Prompts(tokenizer, told, LONGEST_TOKEN)
        self._trial = GrammarTrial(self._server, self._prompts.beginning())
        self._num_free = self._num_tokens = num_tokens
        self._running: dict[str, _Running] = {}
        self._counted: dict[str, Usage] = {}
        self._waiting: deque[Job] = deque()
        self._to_score: deque[Job] = deque()
        self._started: set[Job] = set()
        self._told: queue.SimpleQueue[Told] = queue.SimpleQueue()
        self._work: list[Work] = []
        self._capabilities = Capabilities(
            context_length=min(self._prompts.context_length, num_tokens),
            max_num_seqs=max_num_seqs,
            grammar=self._trial.works(),
            scores=True,
            top_logprobs=MOST_TOP_LOGPROBS,
            tools_in_template=self._prompts.has_tools,
            chat_template=bool(self._prompts.template),
        )

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can do with this model."""
        return self._capabilities

    def add(self, request: GenerationRequest | ScoreRequest) -> None:
        """Take a request; raises ContextTooLong and InvalidRequest, and then nothing is kept."""
        if request.id in self._running:
            raise InvalidRequest("a request of this id is running")
        if isinstance(request, ScoreRequest):
            scoring = self._scoring(request)
            self._to_score.append(scoring)
            self._take(request.id, _Running([scoring]))
            return
        limit = sampling_limits.context_limit(request, self._capabilities)
        prompt, truncated = self._prompts.fitted(request, limit)
        if request.counts_only:
            counted = Usage(prompt_tokens=len(prompt), truncated_tokens=truncated)
            self._counted[request.id] = counted
            return
        choices = [
            Choice(
                request,
                index,
                completion(request, prompt, limit - len(prompt), index),
                self._server,
                self._trial,
            )
            for index in range(request.n)
        ]
        self._waiting.extend(choices)
        self._take(request.id, _Running(choices, truncated))

    def cancel(self, request_id: str) -> None:
        """Stop a request: each of its sequences ends with the batch that is being computed."""
        self._counted.pop(request_id, None)
        running = self._running.pop(request_id, None)
        for job in running.jobs if running else ():
            job.is_cancelled = True
        for waiting in (self._waiting, self._to_score):
            for job in [job for job in waiting if job.is_cancelled]:
                waiting.remove(job)

    def has_work(self) -> bool:
        """Whether a request is under way."""
        return bool(self._running or self._counted)

    def step(self) -> Sequence[Delta]:
        """What the sequences have told since the last step, after a wait where that is nothing."""
        self._work = []
        deltas = [
            Delta(request_id, Chunk(finish_reason="stop", usage=told))
            for request_id, told in self._counted.items()
        ]
        if self._counted:
            self._counted.clear()
            return deltas
        for told in self._heard():
            deltas += self._handle(told)
        self._start()
        return deltas

    def work(self) -> Sequence[Work]:
        """What the last step computed, as llama.cpp told it."""
        return self._work

    def stats(self) -> EngineStats:
        """Requests under way and the share of the KV cache in use; memory is the worker's to
        tell."""
        held = sum(job.num_held for job in self._started)
        return EngineStats(len(self._running), min(1.0, held / self._num_tokens))

    def _scoring(self, request: ScoreRequest) -> Scoring:
        scoring_limits.check(request)
        texts = {text for prompt in request.prompts for text in prompt.continuations}
        known = {text: self._continuation(text) for text in texts}
        prompts = [self._tokens(request, prompt, known) for prompt in request.prompts]
        return Scoring(request.id, prompts, self._server, self._prompts.vocab_size)

    def _tokens(
        self, request: ScoreRequest, prompt: ScorePrompt, known: Mapping[str, Continuation]
    ) -> Prompt:
        continuations = [known[text] for text in prompt.continuations]
        longest = max(len(one.tokens) for one in continuations)
        room = self._capabilities.context_length - longest
        if room < 1:
            raise InvalidRequest("a label is longer than the model's context", param="labels")
        asked = GenerationRequest(request.id, request.model, messages=prompt.messages)
        return self._prompts.fitted(asked, room + 1)[0], continuations

    def _continuation(self, text: str) -> Continuation:
        return Continuation(self._prompts.encoded(text), self._server.are_whole(text))

    def _take(self, request_id: str, running: _Running) -> None:
        self._running[request_id] = running
        self._start()

    def _start(self) -> None:
        """Start those whose turn it is and that have room; of scores one after another, since what
        is computed beside them shows in them."""
        while self._waiting and self._has_room(self._waiting[0]):
            self._run(self._waiting.popleft())
        is_scoring = any(isinstance(job, Scoring) for job in self._started)
        if self._to_score and not is_scoring and self._has_room(self._to_score[0]):
            self._run(self._to_score.popleft())

    def _has_room(self, job: Job) -> bool:
        has_place = len(self._started) < self._capabilities.max_num_seqs
        return has_place and job.num_tokens <= self._num_free

    def _run(self, job: Job) -> None:
        self._started.add(job)
        self._num_free -= job.num_tokens
        threading.Thread(target=_run, args=(job, self._told), daemon=True).start()

    def _heard(self) -> Iterator[Told]:
        """What is told within a batch step: it is over when all have told, or some time passes."""
        silent = set(self._started)
        wait_s = WAIT_S
        try:
            while silent or not self._told.empty():
                told = self._told.get(timeout=wait_s)
                silent.discard(told.job)
                wait_s = TOGETHER_S
                yield told
        except queue.Empty:
            return

    def _handle(self, told: Told) -> Iterator[Delta]:
        job = told.job
        if told.is_end:
            self._started.discard(job)
            self._num_free += job.num_tokens
        if job.is_cancelled or job.request_id not in self._running:
            return
        if told.work:
            self._work.append(told.work)
        if told.delta is not None:
            yield told.delta
            if told.delta.error is not None:
                self.cancel(job.request_id)
                return
        if told.is_end:
            yield from self._end(job, self._running[job.request_id])

    def _end(self, job: Job, running: _Running) -> Iterator[Delta]:
        running.num_left -= 1
        if not running.num_left:
            del self._running[job.request_id]
        if isinstance(job, Choice):
            choices = [one for one in running.jobs if isinstance(one, Choice)]
            is_last = not running.num_left
            told = usage(choices, running.truncated_tokens) if is_last else None
            yield Delta(job.request_id, replace(job.last, usage=told))


def _run(job: Job, told: "queue.SimpleQueue[Told]") -> None:
    """Run a job to its end, which is told however it comes."""
    failure: CanteenError | None = EngineError("llama.cpp could not answer this; try again")
    try:
        job.run(told.put)
        failure = None
    except CanteenError as exc:
        failure = exc
    finally:
        if failure is not None:
            told.put(Told(job, Delta(job.request_id, error=failure)))
        told.put(Told(job, is_end=True))
