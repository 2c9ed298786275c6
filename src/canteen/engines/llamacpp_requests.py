"""A request in llama.cpp's words; pure."""

import secrets
from collections.abc import Sequence
from typing import Any

from canteen.core.generation import GenerationRequest
from canteen.engines.llamacpp_grammar import grammar_text, tokens_grammar
from canteen.engines.llamacpp_server import Body

# The largest one stands for a seed of chance.
NUM_SEEDS = 2**32 - 1
SAMPLERS = ["penalties", "temperature", "top_k", "top_p", "min_p"]


def completion(request: GenerationRequest, prompt: Sequence[int], room: int, index: int) -> Body:
    """The choice `index` of a checked request, with `room` tokens to write."""
    sampling = request.sampling
    seed = secrets.randbits(32) if sampling.seed is None else sampling.seed
    body: dict[str, Any] = {
        "prompt": list(prompt),
        "n_predict": min(int(sampling.max_tokens or room), room),
        "seed": (seed + index) % NUM_SEEDS,
        "samplers": SAMPLERS,
        # With a top_p of 0 or a min_p of 1 only the likeliest token remains.
        "temperature": sampling.temperature if sampling.top_p > 0 and sampling.min_p < 1 else 0.0,
        "top_k": max(sampling.top_k or 0, 0),
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "repeat_penalty": sampling.repetition_penalty,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "repeat_last_n": len(prompt) + room,
        "return_progress": True,
        "timings_per_token": True,
    }
    if request.logprobs:
        body["n_probs"] = max(1, request.top_logprobs)
    if request.grammar is not None:
        body["grammar"] = grammar_text(request.grammar)
    elif sampling.ignore_eos:
        # A grammar ends with an end token and knows no other way.
        body["ignore_eos"] = True
    return body


def forced(prompt: Sequence[int], continuation: Sequence[int]) -> Body:
    """Write this continuation and tell how likely each token of it was."""
    return {
        "prompt": list(prompt),
        "n_predict": len(continuation),
        "grammar": tokens_grammar(list(continuation)),
        "n_probs": 1,
        "temperature": 0,
    }


def next_tokens(prompt: Sequence[int], any_token: int, vocab_size: int) -> Body:
    """Tell how likely every token is that may come next; the one written does not matter."""
    return {**forced(prompt, [any_token]), "n_probs": vocab_size}
