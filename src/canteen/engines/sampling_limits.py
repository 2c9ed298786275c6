"""The limits of sampling parameters that hold for every engine, and of requests by what one can."""

import math

from canteen.core.engine import Capabilities
from canteen.core.errors import InvalidRequest
from canteen.core.generation import GenerationRequest, SamplingParams

MOST_STOPS = 64
LONGEST_STOP = 1024

# Least and most, both included.
_RANGES = {
    "temperature": (0.0, 100.0),
    "top_p": (0.0, 1.0),
    "min_p": (0.0, 1.0),
    "presence_penalty": (-2.0, 2.0),
    "frequency_penalty": (-2.0, 2.0),
}
_MOST_REPETITION_PENALTY = 100.0


def check(sampling: SamplingParams) -> None:
    """Raise InvalidRequest, naming the parameter, for a value no engine can work with."""
    for name, (least, most) in _RANGES.items():
        value = getattr(sampling, name)
        # Written so that NaN fails too.
        if not least <= value <= most:
            raise InvalidRequest(f"{name} must be from {least:g} to {most:g}", param=name)
    if not 0.0 < sampling.repetition_penalty <= _MOST_REPETITION_PENALTY:
        raise InvalidRequest(
            f"repetition_penalty must be above 0 and at most {_MOST_REPETITION_PENALTY:g}",
            param="repetition_penalty",
        )
    if sampling.max_tokens is not None and not _is_count(sampling.max_tokens):
        raise InvalidRequest("max_tokens must be a whole number, at least 1", param="max_tokens")
    if sampling.top_k is not None and sampling.top_k < -1:
        raise InvalidRequest("top_k must be at least 1, or 0 for no limit", param="top_k")
    _check_stops(sampling.stop)


def context_limit(request: GenerationRequest, capabilities: Capabilities) -> int:
    """Check a request against what a loaded model can do; how many tokens its prompt and its answer
    may have together. Raises InvalidRequest, naming the parameter."""
    check(request.sampling)
    most = capabilities.top_logprobs
    if request.top_logprobs > most:
        can = f"top_logprobs must be at most {most}"
        cannot = "this engine gives no top log-probabilities; leave top_logprobs out"
        raise InvalidRequest(can if most else cannot, param="top_logprobs")
    if not 1 <= request.n <= capabilities.max_num_seqs:
        raise InvalidRequest(f"n must be from 1 to {capabilities.max_num_seqs}", param="n")
    limit = min(request.context_length or capabilities.context_length, capabilities.context_length)
    if limit < 2:
        raise InvalidRequest("the context must hold 2 tokens at least", param="num_ctx")
    return limit


def _is_count(value: float) -> bool:
    return math.isfinite(value) and value >= 1 and value == int(value)


def _check_stops(stops: tuple[str, ...]) -> None:
    if len(stops) > MOST_STOPS or any(len(stop) > LONGEST_STOP for stop in stops):
        raise InvalidRequest(
            f"stop takes at most {MOST_STOPS} strings of at most {LONGEST_STOP} characters",
            param="stop",
        )
