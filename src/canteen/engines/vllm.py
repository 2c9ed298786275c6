"""The engine for GPUs: vLLM, whose scheduler and weights are in processes of its own."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from canteen.core.engine import Capabilities, EngineStats, Work
from canteen.core.errors import EngineError, InvalidRequest
from canteen.core.generation import (
    Chunk,
    FinishReason,
    GenerationRequest,
    SamplingParams,
    ScoreRequest,
    Scores,
    Usage,
)
from canteen.engines import sampling_limits, scoring_limits
from canteen.engines.vllm_adapters import VllmAdapters
from canteen.engines.vllm_config import (
    MOST_TOP_LOGPROBS,
    engine_arguments,
    sampling_params,
)
from canteen.engines.vllm_prompts import VllmPrompts
from canteen.engines.vllm_scoring import Scoring
from canteen.engines.writing import Alternatives, TokenWriting

# Texts of so many characters are made tokens of beside the event loop, which others wait for.
LONG_TEXT = 20_000


@dataclass(slots=True)
class _Running:
    """One request under way, its times in seconds of the monotonic clock."""

    request: GenerationRequest
    num_prompt_tokens: int
    truncated_tokens: int
    choices: list[TokenWriting]
    started_s: float = field(default_factory=time.monotonic)
    first_s: float | None = None
    cached_tokens: int = 0

    @property
    def is_ended(self) -> bool:
        """Whether every choice has its end."""
        return all(choice.finish_reason for choice in self.choices)

    @property
    def num_tokens(self) -> int:
        """What it holds of the cache."""
        return self.num_prompt_tokens + sum(len(choice.tokens) for choice in self.choices)


class VllmEngine:
    """Implements SelfSteppedEngine over a prepared folder of safetensors.

    `kv_cache_gb` is all that the KV cache may take on each device; `options` are those of
    `vllm_config.OPTIONS`. Requests may name LoRA adapters of up to `adapter_rank`.
    """

    name = "vllm"

    def __init__(
        self,
        folder: Path,
        *,
        max_num_seqs: int = 32,
        kv_cache_gb: float = 1,
        adapter_rank: int = 0,
        **options: str,
    ) -> None:
        arguments = engine_arguments(folder, max_num_seqs, kv_cache_gb, options, adapter_rank)
        from vllm.platforms import current_platform
        from vllm.v1.engine.async_llm import AsyncLLM

        if arguments.enable_sleep_mode and not current_platform.is_sleep_mode_available():
            raise InvalidRequest("CANTEEN_VLLM has enable_sleep_mode, which only CUDA can")
        self._prompts = VllmPrompts(folder)
        self._engine = AsyncLLM.from_engine_args(arguments)
        takes_turns = adapter_rank > 0 and current_platform.is_cpu()
        self._adapters = VllmAdapters(self._engine, takes_turns=takes_turns)
        cache = self._engine.vllm_config.cache_config
        self._cache_tokens = int(cache.num_gpu_blocks or 1) * int(cache.block_size)
        self._running: dict[str, _Running] = {}
        self._work: list[Work] = []
        self._num_asked = 0
        self._capabilities = Capabilities(
            context_length=int(self._engine.model_config.max_model_len),
            max_num_seqs=max_num_seqs,
            grammar=True,
            scores=True,
            top_logprobs=MOST_TOP_LOGPROBS,
            tools_in_template=self._prompts.has_tools,
            chat_template=bool(self._prompts.template),
            adapter_rank=adapter_rank,
            sleeps=arguments.enable_sleep_mode,
        )

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can do with this model."""
        return self._capabilities

    @property
    def is_broken(self) -> bool:
        """Whether the library's process has ended."""
        return bool(self._engine.errored)

    async def warm_up(self) -> None:
        """Compute something, so that no request pays for what is compiled at the first."""
        sampling = SamplingParams(max_tokens=2, temperature=0.7, top_p=0.9, ignore_eos=True)
        request = GenerationRequest(
            "warm-up", "", prompt_tokens=(0,) * 8, sampling=sampling, logprobs=True
        )
        async with aclosing(self.generate(request)) as chunks:
            async for _ in chunks:
                pass
        self._work.clear()

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]:
        """See Engine."""
        if request.id in self._running:
            raise InvalidRequest("a request of this id is running")
        limit = sampling_limits.context_limit(request, self._capabilities)
        if _num_characters(request) > LONG_TEXT:
            prompt, truncated = await asyncio.to_thread(self._prompts.fitted, request, limit)
        else:
            prompt, truncated = self._prompts.fitted(request, limit)
        if request.counts_only:
            usage = Usage(prompt_tokens=len(prompt), truncated_tokens=truncated)
            yield Chunk(finish_reason="stop", usage=usage)
            return
        vocabulary, eos_ids = self._prompts.vocabulary, self._prompts.eos_ids
        params = sampling_params(request, limit - len(prompt), len(vocabulary), eos_ids)
        choices = [TokenWriting(request, vocabulary, eos_ids) for _ in range(request.n)]
        running = _Running(request, len(prompt), truncated, choices)
        self._running[request.id] = running
        try:
            async with aclosing(self._outputs(request.adapter, prompt, params)) as outputs:
                async for output in outputs:
                    for chunk in self._read(running, output):
                        yield chunk
                    if running.is_ended:
                        # Where the end is ours, a stop string's, leaving ends the request there.
                        return
        finally:
            del self._running[request.id]

    async def score(self, request: ScoreRequest) -> Scores:
        """See Engine."""
        scoring_limits.check(request)
        prompts = [self._prompts.to_score(request, prompt) for prompt in request.prompts]
        outputs = partial(self._outputs, request.adapter)
        return await Scoring(request.id, outputs, self._work.append).score(prompts)

    def work(self) -> Sequence[Work]:
        """See SelfSteppedEngine."""
        work = list(self._work)
        self._work.clear()
        return work

    async def sleep(self) -> None:
        """Move the weights to host memory, and drop the KV cache."""
        await self._engine.sleep(level=1)

    async def wake_up(self) -> None:
        """Move the weights back to the device."""
        await self._engine.wake_up()

    async def stats(self) -> EngineStats:
        """Requests under way, and the share of the KV cache that they need."""
        num_tokens = sum(running.num_tokens for running in self._running.values())
        return EngineStats(len(self._running), min(1.0, num_tokens / self._cache_tokens))

    async def close(self) -> None:
        """End the library's processes."""
        self._engine.shutdown()

    async def _outputs(
        self, adapter: str, prompt: Sequence[int], params: Any
    ) -> AsyncGenerator[Any]:
        """What the library gives for a prompt; leaving early cancels it there."""
        from vllm import TokensPrompt
        from vllm.exceptions import VLLMClientError

        self._num_asked += 1
        tokens = TokensPrompt(prompt_token_ids=list(prompt))
        request_id = str(self._num_asked)
        try:
            async with (
                self._adapters.using(adapter) as put_on,
                aclosing(
                    self._engine.generate(tokens, params, request_id, lora_request=put_on)
                ) as outputs,
            ):
                async for output in outputs:
                    yield output
        except VLLMClientError as exc:
            # Its text may name the library's files.
            if params.structured_outputs is None:
                raise InvalidRequest("the engine refuses this combination of parameters") from exc
            raise InvalidRequest(
                "the schema or pattern cannot be compiled to a grammar; use plain JSON Schema "
                "types and regular expressions without look-around",
                param="response_format",
            ) from exc

    def _read(self, running: _Running, output: Any) -> Sequence[Chunk]:
        now_s = time.monotonic()
        if running.first_s is None:
            running.first_s = now_s
            running.cached_tokens = output.num_cached_tokens or 0
            num_tokens = running.num_prompt_tokens - running.cached_tokens
            self._work.append(Work(running.request.id, num_tokens, 0, running.cached_tokens))
        chunks = []
        for piece in output.outputs:
            chunk = self._read_choice(running, piece)
            if chunk is not None:
                chunks.append(chunk)
        if chunks and running.is_ended:
            chunks[-1] = replace(chunks[-1], usage=_usage(running, now_s))
        return chunks

    def _read_choice(self, running: _Running, piece: Any) -> Chunk | None:
        choice, index = running.choices[piece.index], int(piece.index)
        # The first token of a choice comes with the prompt.
        num_decoded = len(piece.token_ids) - (not choice.tokens)
        context = running.num_prompt_tokens + max(len(choice.tokens) - 1, 0)
        if num_decoded > 0:
            self._work.append(Work(running.request.id, 0, num_decoded, context))
        if choice.finish_reason:
            return None
        choice.feed(piece.token_ids, *_logprobs(piece, running.request))
        if piece.finish_reason and not choice.finish_reason:
            choice.finish(_finish_reason(piece.finish_reason))
        chunk: Chunk | None = choice.chunk(index)
        if not choice.finish_reason:
            return chunk
        chunk = chunk or Chunk(index=index)
        return replace(
            chunk, finish_reason=choice.finish_reason, stop_sequence=choice.stop_sequence
        )


def _num_characters(request: GenerationRequest) -> int:
    return len(request.prompt or "") + sum(len(message.content) for message in request.messages)


def _logprobs(
    piece: Any, request: GenerationRequest
) -> tuple[Sequence[float], Sequence[Alternatives]]:
    """Of each token, and of the likeliest in its place."""
    if not piece.logprobs:
        return [0.0] * len(piece.token_ids), ()
    rows = list(zip(piece.token_ids, piece.logprobs, strict=True))
    tops = [
        [(token, one.logprob) for token, one in row.items() if one.rank <= request.top_logprobs]
        for _, row in rows
    ]
    return [row[token].logprob for token, row in rows], tops


def _finish_reason(reason: str) -> FinishReason:
    if reason in ("stop", "length"):
        return "stop" if reason == "stop" else "length"
    raise EngineError("the engine ended this request; please send it again")


def _usage(running: _Running, now_s: float) -> Usage:
    first_s = now_s if running.first_s is None else running.first_s
    return Usage(
        prompt_tokens=running.num_prompt_tokens,
        cached_tokens=running.cached_tokens,
        completion_tokens=sum(len(choice.tokens) for choice in running.choices),
        truncated_tokens=running.truncated_tokens,
        prefill_s=first_s - running.started_s,
        decode_s=now_s - first_s,
    )
