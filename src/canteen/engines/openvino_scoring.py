"""Scores beside an engine's generations: a second form of its model, made when first asked."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

from canteen.core.arithmetic import SCORING
from canteen.core.engine import Delta, Work
from canteen.core.errors import CanteenError, EngineError
from canteen.core.generation import ScoreRequest
from canteen.engines import scoring_limits
from canteen.engines.openvino_scorer import OpenVinoScorer
from canteen.engines.prompts import Prompts

# How long a step waits for the model where it has nothing else to do.
WAIT_S = 0.05
# Beside generations, whose next tokens wait for it, a step reads this part of what it may.
PART_BESIDE = 4

Read = tuple[tuple[int, ...], Sequence[Sequence[int]]]


class Scoring:
    """Takes requests at once; they wait while the model is made, which takes seconds and a second
    copy of its weights, in a thread of its own, so that generations go on."""

    def __init__(
        self, folder: Path, prompts: Prompts, max_batched_tokens: int, num_threads: int
    ) -> None:
        self._folder = folder
        self._prompts = prompts
        self._max_batched_tokens = max_batched_tokens
        self._num_threads = num_threads
        self._making: Future[OpenVinoScorer] | None = None
        self._early: dict[str, list[Read]] = {}
        self._scorer: OpenVinoScorer | None = None

    def add(self, request: ScoreRequest) -> None:
        """Take a request; raises ContextTooLong and InvalidRequest."""
        scoring_limits.check(request)
        self._early[request.id] = [
            self._prompts.to_score(request, prompt) for prompt in request.prompts
        ]
        if self._making is None:
            maker = ThreadPoolExecutor(1, "scorer")
            self._making = maker.submit(self._make)
            maker.shutdown(wait=False)

    def cancel(self, request_id: str) -> None:
        """Forget a request."""
        self._early.pop(request_id, None)
        if self._scorer is not None:
            self._scorer.cancel(request_id)

    def has_work(self) -> bool:
        """Whether a step would do anything, were it to wait for the model."""
        return bool(self._early) or (self._scorer is not None and self._scorer.has_work())

    def work(self) -> Sequence[Work]:
        """What the last step read."""
        return self._scorer.work() if self._scorer is not None else ()

    def step(self, *, is_alone: bool) -> Iterator[Delta]:
        """Score some; where that is all there is to do, more, or wait a little for the model."""
        if self._early and self._making is not None:
            wait([self._making], WAIT_S if is_alone else 0)
            if self._making.done():
                yield from self._pass_on(self._making)
        if self._scorer is not None:
            most = self._max_batched_tokens // (1 if is_alone else PART_BESIDE)
            for request_id, scores in self._scorer.step(most):
                yield Delta(request_id, scores=scores)

    def _pass_on(self, making: "Future[OpenVinoScorer]") -> Iterator[Delta]:
        early, self._early = self._early, {}
        if (failure := making.exception()) is not None:
            # The next ones try again.
            self._making = None
            error = EngineError("the model could not be loaded once more, to score with it")
            told = failure if isinstance(failure, CanteenError) else error
            yield from (Delta(request_id, error=told) for request_id in early)
            return
        self._scorer = making.result()
        for request_id, prompts in early.items():
            self._scorer.add(request_id, prompts)

    def _make(self) -> OpenVinoScorer:
        from canteen.engines.openvino_forward import Forward

        properties = dict(SCORING)
        if self._num_threads:
            properties["INFERENCE_NUM_THREADS"] = str(self._num_threads)
        return OpenVinoScorer(Forward(self._folder, properties))
