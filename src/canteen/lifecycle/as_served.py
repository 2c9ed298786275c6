"""A prepared generative model, measured in the pipeline and the arithmetic that will serve it."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from canteen.core.arithmetic import served_arithmetic

PROMPT_TOKENS = 128
COMPLETION_TOKENS = 64
CACHE_GB = 1


class ServedModel:
    """The model of a prepared folder, loaded as the engine loads it; one request at a time."""

    def __init__(self, folder: Path) -> None:
        import openvino
        import openvino_genai

        scheduler = openvino_genai.SchedulerConfig()
        scheduler.cache_size = CACHE_GB
        # Tokens served from the prefix cache have no log-probabilities.
        scheduler.enable_prefix_caching = False
        properties = served_arithmetic(
            openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        )
        self._pipeline = openvino_genai.ContinuousBatchingPipeline(
            str(folder), scheduler, "CPU", properties
        )
        self._num_requests = 0

    def perplexity(self, windows: Sequence[Sequence[int]]) -> float:
        """Perplexity of the second half of each window, given what stands before it."""
        halves = [self._logprobs(window)[len(window) // 2 : len(window)] for window in windows]
        num_tokens = sum(len(half) for half in halves)
        return math.exp(-sum(map(sum, halves)) / num_tokens)

    def decode_tokens_per_s(self, prompt: Sequence[int], clock: Callable[[], float]) -> float:
        """Speed of one sequence after its prompt is read."""
        handle = self._start(prompt[:PROMPT_TOKENS], max_new_tokens=COMPLETION_TOKENS)
        self._pipeline.step()
        started_s = clock()
        self._finish()
        elapsed_s = clock() - started_s
        # A handle that is dropped takes its request with it.
        del handle
        return (COMPLETION_TOKENS - 1) / elapsed_s

    def _logprobs(self, window: Sequence[int]) -> list[float]:
        handle = self._start(window, max_new_tokens=1, echo=True, logprobs=1)
        self._finish()
        logprobs: list[float] = []
        while handle.can_read():
            for output in handle.read().values():
                logprobs += output.generated_log_probs
        return logprobs

    def _start(self, prompt: Sequence[int], **options: Any) -> Any:
        import numpy as np
        import openvino
        import openvino_genai

        config = openvino_genai.GenerationConfig(do_sample=False, ignore_eos=True, **options)
        self._num_requests += 1
        ids = openvino.Tensor(np.array([prompt], np.int64))
        return self._pipeline.add_request(self._num_requests, ids, config)

    def _finish(self) -> None:
        while self._pipeline.has_non_finished_requests():
            self._pipeline.step()
