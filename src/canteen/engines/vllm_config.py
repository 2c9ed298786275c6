"""What vLLM is told: of a model when it is loaded, and of the sampling of each request."""

import os
import secrets
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from canteen.core.errors import InvalidRequest
from canteen.core.generation import GenerationRequest
from canteen.engines import grammar_limits

NUM_SEEDS = 2**32
# The ranks that there can be room for; an adapter of a lower one fits too.
ADAPTER_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
MOST_TOP_LOGPROBS = 20
GIB = 1 << 30
# Without kernels that are compiled or fetched at the first request; vLLM's own log, which shows
# its files to whoever reads ours; and processes that are forks, which would hold our socket.
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_USE_DEEP_GEMM": "0",
    "VLLM_USE_FLASHINFER_SAMPLER": "0",
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
}


def _flag(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


def _from_one(text: str) -> int:
    if int(text) < 1:
        raise ValueError
    return int(text)


# What may be told besides, by the library's names, and how it is read.
OPTIONS: Mapping[str, Callable[[str], Any]] = {
    "distributed_executor_backend": str,
    "dtype": str,
    "enable_sleep_mode": _flag,
    "enforce_eager": _flag,
    "kv_cache_dtype": str,
    "load_format": str,
    "max_loras": _from_one,
    "max_num_batched_tokens": _from_one,
    "pipeline_parallel_size": _from_one,
    "quantization": str,
    "stream_interval": _from_one,
    "tensor_parallel_size": _from_one,
}


def engine_arguments(
    folder: Path,
    max_num_seqs: int,
    kv_cache_gb: float,
    options: Mapping[str, str],
    adapter_rank: int = 0,
) -> Any:
    """The library's arguments, with room for adapters of a rank above 0; raises InvalidRequest for
    an option that is none of OPTIONS."""
    read = {name: option(name, text) for name, text in options.items()}
    for variable, value in QUIET.items():
        os.environ.setdefault(variable, value)
    from vllm.engine.arg_utils import AsyncEngineArgs

    return AsyncEngineArgs(
        model=str(folder),
        max_num_seqs=max_num_seqs,
        kv_cache_memory_bytes=int(kv_cache_gb * GIB),
        # As long as the model's own context, or as the cache allows.
        max_model_len=-1,
        max_logprobs=MOST_TOP_LOGPROBS,
        enable_prefix_caching=True,
        generation_config="vllm",
        seed=secrets.randbits(31),
        # No other library is to take what this one does not enforce.
        structured_outputs_config={"backend": "xgrammar", "disable_any_whitespace": True},
        disable_log_stats=True,
        enable_lora=adapter_rank > 0,
        max_lora_rank=next(rank for rank in ADAPTER_RANKS if rank >= adapter_rank),
        **read,
    )


def option(name: str, text: str) -> Any:
    """What an option of CANTEEN_VLLM says; raises InvalidRequest for one that is none of OPTIONS,
    and for what it cannot be."""
    if name not in OPTIONS:
        known = ", ".join(OPTIONS)
        raise InvalidRequest(f"CANTEEN_VLLM has {name!r}, which is none of {known}", param=name)
    try:
        return OPTIONS[name](text)
    except (ValueError, KeyError) as exc:
        raise InvalidRequest(f"CANTEEN_VLLM has {name}={text}, which it cannot be") from exc


def sampling_params(
    request: GenerationRequest, room: int, vocab_size: int, eos_ids: Collection[int]
) -> Any:
    """The library's parameters for a checked request, with `room` tokens to write.

    Text, and the stop strings in it, are made here of the tokens; vLLM makes none.
    """
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    sampling = request.sampling
    # Without one, all such requests of a step are drawn for at once, which is much faster.
    seed = None if sampling.seed is None else sampling.seed % NUM_SEEDS
    # With a top_p of 0 or a min_p of 1 only the likeliest token remains.
    is_greedy = not (sampling.temperature > 0 and sampling.top_p > 0 and sampling.min_p < 1)
    # A grammar ends with an end token and knows no other way.
    ignores_eos = sampling.ignore_eos and request.grammar is None
    chosen: dict[str, Any] = {
        # Several greedy choices are refused; the one likeliest token is the same.
        "temperature": (0.0 if request.n == 1 else 1.0) if is_greedy else sampling.temperature,
        "top_p": 1.0 if is_greedy else sampling.top_p,
        "min_p": 0.0 if is_greedy else sampling.min_p,
        "top_k": 1 if is_greedy else min(max(sampling.top_k or 0, 0), vocab_size),
    }
    return SamplingParams(
        n=request.n,
        max_tokens=int(min(sampling.max_tokens or room, room)),
        seed=seed,
        presence_penalty=sampling.presence_penalty,
        frequency_penalty=sampling.frequency_penalty,
        repetition_penalty=sampling.repetition_penalty,
        ignore_eos=ignores_eos,
        stop_token_ids=[] if ignores_eos else sorted(eos_ids),
        logprobs=request.top_logprobs if request.logprobs else None,
        structured_outputs=_structured_outputs(request),
        output_kind=RequestOutputKind.DELTA,
        detokenize=False,
        **chosen,
    )


def scoring_params(token_ids: list[int]) -> Any:
    """Parameters that give the log-probabilities of some tokens to come next."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        max_tokens=1,
        temperature=0.0,
        logprob_token_ids=token_ids,
        output_kind=RequestOutputKind.FINAL_ONLY,
        detokenize=False,
    )


def _structured_outputs(request: GenerationRequest) -> Any:
    from vllm.sampling_params import StructuredOutputsParams

    grammar = request.grammar
    if grammar is None:
        return None
    grammar_limits.check(grammar)
    if grammar.kind == "regex":
        return StructuredOutputsParams(regex=grammar.value)
    return StructuredOutputsParams(json=grammar_limits.loosened(grammar))
