"""A request's sampling as OpenVINO GenAI takes it."""

import secrets
from collections.abc import Collection
from typing import Any

from canteen.core.generation import GenerationRequest
from canteen.engines.openvino_grammar import structured_output

NUM_SEEDS = 2**32
# Tokens that followed the last so many when they were read before are guessed to follow again.
NGRAM_TOKENS = 3
GUESSED_TOKENS = 4


def generation_config(
    request: GenerationRequest, room: int, vocab_size: int, eos_ids: Collection[int]
) -> Any:
    """The library's configuration for a checked request, with `room` tokens to write."""
    import openvino_genai

    sampling = request.sampling
    seed = secrets.randbits(32) if sampling.seed is None else sampling.seed
    config = openvino_genai.GenerationConfig(
        max_new_tokens=min(int(sampling.max_tokens or room), room),
        rng_seed=seed % NUM_SEEDS,
        presence_penalty=sampling.presence_penalty,
        frequency_penalty=sampling.frequency_penalty,
        repetition_penalty=sampling.repetition_penalty,
        logprobs=int(request.logprobs),
    )
    # With a top_p of 0 or a min_p of 1 only the likeliest token remains.
    config.do_sample = sampling.temperature > 0 and sampling.top_p > 0 and sampling.min_p < 1
    if config.do_sample:
        config.temperature = sampling.temperature
        config.top_p = sampling.top_p
        config.min_p = sampling.min_p
        if sampling.top_k is not None and sampling.top_k > 0:
            config.top_k = min(sampling.top_k, vocab_size)
    if request.grammar is not None:
        config.structured_output_config = structured_output(request.grammar)
    # A grammar ends with an end token and knows no other way.
    if sampling.ignore_eos and request.grammar is None:
        config.ignore_eos = True
    else:
        config.stop_token_ids = set(eos_ids)
    return config


def guess_ahead(config: Any) -> None:
    """Let a request try several tokens a step; only a pipeline of `prompt_lookup` takes it."""
    config.num_assistant_tokens = GUESSED_TOKENS
    config.max_ngram_size = NGRAM_TOKENS
