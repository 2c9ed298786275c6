"""The engine for CPUs and Intel GPUs: OpenVINO GenAI's continuous batching, stepped."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from canteen.core.arithmetic import served_arithmetic
from canteen.core.engine import Capabilities, Delta, EngineStats, Work
from canteen.core.errors import EngineError, InvalidRequest
from canteen.core.generation import Chunk, FinishReason, GenerationRequest, ScoreRequest, Usage
from canteen.engines import sampling_limits
from canteen.engines.openvino_config import NUM_SEEDS, generation_config, guess_ahead
from canteen.engines.openvino_grammar import GrammarTrial
from canteen.engines.openvino_prompts import OpenVinoPrompts
from canteen.engines.openvino_scoring import Scoring
from canteen.engines.prefixes import PrefixMirror
from canteen.engines.schedule import Progress, work_of_step
from canteen.engines.writing import TokenWriting

BLOCK_SIZE = 32


@dataclass(slots=True)
class _Sequence:
    """One choice under way. `handle` is None until its turn to start has come; a handle that
    is dropped takes its request with it."""

    index: int
    writing: TokenWriting
    progress: Progress
    handle: Any = None
    is_ended: bool = False


@dataclass(slots=True)
class _Running:
    """One request under way, its times in seconds of the engine's clock."""

    request: GenerationRequest
    prompt: list[int]
    truncated_tokens: int
    config: Any
    sequences: list[_Sequence]
    cached_tokens: int = 0
    started_s: float | None = None
    first_s: float | None = None


class OpenVinoEngine:
    """Implements StepEngine over a prepared folder.

    One step computes at most `max_batched_tokens` tokens, so that bounds how long a newcomer or
    a cancellation waits during a long prefill; `kv_cache_gb` is all that the KV cache may take;
    `num_threads` 0 is the library's choice. With `max_num_seqs` 1 the one sequence guesses ahead
    from what it has read; among many sequences that would cost more than it gains.
    """

    name = "openvino"

    def __init__(
        self,
        folder: Path,
        *,
        max_num_seqs: int = 32,
        kv_cache_gb: int = 1,
        max_batched_tokens: int = 256,
        num_threads: int = 0,
    ) -> None:
        import openvino
        import openvino_genai

        scheduler = openvino_genai.SchedulerConfig()
        scheduler.cache_size = kv_cache_gb
        scheduler.max_num_seqs = max_num_seqs
        # At least a token for every sequence that decodes.
        self._max_batched_tokens = max(max_batched_tokens, max_num_seqs)
        scheduler.max_num_batched_tokens = self._max_batched_tokens
        scheduler.dynamic_split_fuse = True
        scheduler.enable_prefix_caching = True
        # No CACHE_DIR: it saves half a second of loading and costs 115 MB of memory.
        properties: dict[str, Any] = served_arithmetic(
            openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        )
        if num_threads:
            properties["INFERENCE_NUM_THREADS"] = num_threads
        self._guesses_ahead = max_num_seqs == 1
        if self._guesses_ahead:
            properties["prompt_lookup"] = True
        self._pipeline = openvino_genai.ContinuousBatchingPipeline(
            str(folder), scheduler, "CPU", properties
        )
        tokenizer = self._pipeline.get_tokenizer()
        self._prompts = OpenVinoPrompts(tokenizer, folder)
        self._grammars = GrammarTrial(tokenizer, len(self._prompts.vocabulary))
        self._scoring = Scoring(folder, self._prompts, max_batched_tokens, num_threads)
        self._running: dict[str, _Running] = {}
        self._counted: dict[str, Usage] = {}
        self._work: Sequence[Work] = ()
        self._num_added = 0
        self._has_cancelled = False
        num_blocks = self._warm_up()
        self._prefixes = PrefixMirror(num_blocks, BLOCK_SIZE)
        self._capabilities = Capabilities(
            # A sequence that outgrows the cache would be dropped halfway.
            context_length=min(self._prompts.context_length, (num_blocks - 1) * BLOCK_SIZE),
            max_num_seqs=max_num_seqs,
            grammar=True,
            scores=True,
            tools_in_template=self._prompts.has_tools,
            chat_template=bool(self._prompts.template),
        )

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can do with this model."""
        return self._capabilities

    def add(self, request: GenerationRequest | ScoreRequest) -> None:
        """Take a request; raises ContextTooLong and InvalidRequest, and then nothing is kept."""
        if isinstance(request, ScoreRequest):
            self._scoring.add(request)
            return
        limit = sampling_limits.context_limit(request, self._capabilities)
        if request.id in self._running:
            raise InvalidRequest("a request of this id is running")
        prompt, truncated = self._prompts.fitted(request, limit)
        if request.counts_only:
            usage = Usage(prompt_tokens=len(prompt), truncated_tokens=truncated)
            self._counted[request.id] = usage
            return
        if request.grammar is not None:
            self._grammars.check(request.grammar)
        room = limit - len(prompt)
        vocabulary, eos_ids = self._prompts.vocabulary, self._prompts.eos_ids
        config = generation_config(request, room, len(vocabulary), eos_ids)
        if self._guesses_ahead:
            guess_ahead(config)
        sequences = self._sequences(request, len(prompt))
        running = _Running(request, prompt, truncated, config, sequences)
        self._start(running, sequences[0])
        running.cached_tokens = sequences[0].progress.num_cached
        self._running[request.id] = running

    def cancel(self, request_id: str) -> None:
        """Stop a request and free what it holds; an unknown one is ignored."""
        self._scoring.cancel(request_id)
        self._counted.pop(request_id, None)
        running = self._running.pop(request_id, None)
        for sequence in running.sequences if running else ():
            if sequence.handle is not None and not sequence.is_ended:
                sequence.handle.cancel()
                self._has_cancelled = True

    def has_work(self) -> bool:
        """Whether a step would do anything; one is needed to sweep up cancelled requests."""
        is_running = bool(self._running or self._counted)
        return is_running or self._has_cancelled or self._scoring.has_work()

    def step(self) -> Sequence[Delta]:
        """Compute one batch step and tell what it gave."""
        is_alone = not self._running and not self._has_cancelled
        self._has_cancelled = False
        before_s = time.monotonic()
        if self._pipeline.has_non_finished_requests():
            self._pipeline.step()
        now_s = time.monotonic()
        deltas = [
            Delta(request_id, Chunk(finish_reason="stop", usage=usage))
            for request_id, usage in self._counted.items()
        ]
        self._counted.clear()
        stepped = self._under_way()
        for request_id, running in list(self._running.items()):
            if running.started_s is None:
                running.started_s = before_s
            deltas += self._progress(request_id, running, now_s)
        deltas += self._scoring.step(is_alone=is_alone)
        work = work_of_step(stepped, self._max_batched_tokens)
        self._work = [*work, *self._scoring.work()]
        return deltas

    def work(self) -> Sequence[Work]:
        """What the last step computed, as the scheduler's mirror tells it."""
        return self._work

    def stats(self) -> EngineStats:
        """Requests under way and the share of the KV cache in use; memory is the worker's to
        tell."""
        usage = self._pipeline.get_metrics().cache_usage / 100
        return EngineStats(num_running=len(self._running), kv_cache_usage=usage)

    def _sequences(self, request: GenerationRequest, num_prompt_tokens: int) -> list[_Sequence]:
        return [
            _Sequence(
                index,
                TokenWriting(request, self._prompts.vocabulary, self._prompts.eos_ids),
                Progress(request.id, num_prompt_tokens, 0),
            )
            for index in range(request.n)
        ]

    def _under_way(self) -> list[Progress]:
        return [
            sequence.progress
            for running in self._running.values()
            for sequence in running.sequences
            if sequence.handle is not None and not sequence.is_ended
        ]

    def _start(self, running: _Running, sequence: _Sequence) -> None:
        import numpy as np
        import openvino

        ids = openvino.Tensor(np.array([running.prompt], np.int64))
        sequence.progress.num_cached = self._prefixes.cached_tokens(running.prompt)
        self._num_added += 1
        try:
            sequence.handle = self._pipeline.add_request(self._num_added, ids, running.config)
        except RuntimeError as exc:
            # Raised before anything is kept; the text names the library's source files.
            raise InvalidRequest("the engine refuses this combination of parameters") from exc
        seed = running.config.rng_seed
        running.config.rng_seed = (seed + 1) % NUM_SEEDS

    def _progress(self, request_id: str, running: _Running, now_s: float) -> Iterator[Delta]:
        for sequence in running.sequences:
            if sequence.handle is None or sequence.is_ended:
                continue
            if not sequence.handle.can_read():
                if self._is_dropped(sequence):
                    self.cancel(request_id)
                    error = EngineError("the model ran out of memory for this request; try again")
                    yield Delta(request_id, error=error)
                    return
                continue
            if running.first_s is None:
                self._first_token(running, now_s)
            chunk = self._read(running, sequence, now_s)
            if chunk is not None:
                yield Delta(request_id, chunk)

    def _is_dropped(self, sequence: _Sequence) -> bool:
        import openvino_genai.py_openvino_genai as library

        return bool(sequence.handle.get_status() == library.GenerationStatus.IGNORED)

    def _first_token(self, running: _Running, now_s: float) -> None:
        """The prompt is read: the other choices start now, to find it in the prefix cache."""
        running.first_s = now_s
        self._prefixes.add(running.prompt)
        for sequence in running.sequences[1:]:
            self._start(running, sequence)

    def _read(self, running: _Running, sequence: _Sequence, now_s: float) -> Chunk | None:
        writing = sequence.writing
        while sequence.handle.can_read() and not writing.finish_reason:
            for output in sequence.handle.read().values():
                sequence.progress.write(len(output.generated_ids))
                writing.feed(output.generated_ids, output.generated_log_probs)
                reason = _finish_reason(output.finish_reason)
                if reason:
                    writing.finish(reason)
        if not writing.finish_reason:
            return writing.chunk(sequence.index)
        return self._end(running, sequence, now_s)

    def _end(self, running: _Running, sequence: _Sequence, now_s: float) -> Chunk:
        sequence.is_ended = True
        writing = sequence.writing
        if not writing.is_over:
            # The end is ours, a stop string's.
            sequence.handle.stop()
            self._has_cancelled = True
        # The last token was never computed on.
        self._prefixes.add(running.prompt + writing.tokens[:-1], has_ended=True)
        chunk = writing.chunk(sequence.index) or Chunk(index=sequence.index)
        chunk = replace(
            chunk, finish_reason=writing.finish_reason, stop_sequence=writing.stop_sequence
        )
        if not all(each.is_ended for each in running.sequences):
            return chunk
        del self._running[running.request.id]
        return replace(chunk, usage=_usage(running, now_s))

    def _warm_up(self) -> int:
        """Compute something, so that no request pays for the first time; returns how many
        blocks the KV cache has, which the library tells only as a share in use."""
        import numpy as np
        import openvino
        import openvino_genai

        num_blocks = 2
        ids = openvino.Tensor(np.zeros((1, num_blocks * BLOCK_SIZE), np.int64))
        config = openvino_genai.GenerationConfig(max_new_tokens=2, ignore_eos=True)
        if self._guesses_ahead:
            guess_ahead(config)
        handle = self._pipeline.add_request(0, ids, config)
        self._pipeline.step()
        share = self._pipeline.get_metrics().cache_usage / 100
        while self._pipeline.has_non_finished_requests():
            self._pipeline.step()
        del handle
        return int(0.5 + num_blocks / share)


def _usage(running: _Running, now_s: float) -> Usage:
    started_s = now_s if running.started_s is None else running.started_s
    first_s = now_s if running.first_s is None else running.first_s
    return Usage(
        prompt_tokens=len(running.prompt),
        cached_tokens=running.cached_tokens,
        completion_tokens=sum(len(each.writing.tokens) for each in running.sequences),
        truncated_tokens=running.truncated_tokens,
        prefill_s=first_s - started_s,
        decode_s=now_s - first_s,
    )


def _finish_reason(reason: Any) -> FinishReason | None:
    import openvino_genai

    if reason == openvino_genai.GenerationFinishReason.NONE:
        return None
    return "stop" if reason == openvino_genai.GenerationFinishReason.STOP else "length"
