"""Which engine names there are, and how each is made; libraries are imported when one is asked."""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from canteen.core.errors import NotSupported


class Entry(NamedTuple):
    """An engine: where its class is, the library it needs, and what it is good for. What is asked
    over a network needs no worker, and what steps by itself gets an event loop in it."""

    module: str
    cls: str
    library: str
    is_embedder: bool
    about: str
    is_in_worker: bool = True
    steps_itself: bool = False


ENGINES = {
    "openvino": Entry(
        "canteen.engines.openvino",
        "OpenVinoEngine",
        "openvino_genai",
        False,
        "CPUs and Intel GPUs: continuous batching, prefix caching",
    ),
    "vllm": Entry(
        "canteen.engines.vllm",
        "VllmEngine",
        "vllm",
        False,
        "safetensors on NVIDIA GPUs: continuous batching, prefix caching",
        steps_itself=True,
    ),
    "openvino-embedder": Entry(
        "canteen.engines.openvino_embedder",
        "OpenVinoEmbedder",
        "openvino",
        True,
        "embeddings on CPUs and Intel GPUs",
    ),
    "llamacpp": Entry(
        "canteen.engines.llamacpp",
        "LlamaCppEngine",
        "xllamacpp",
        False,
        "any GGUF, on CPUs and on the GPUs that its build knows",
    ),
    "llamacpp-embedder": Entry(
        "canteen.engines.llamacpp_embedder",
        "LlamaCppEmbedder",
        "xllamacpp",
        True,
        "embeddings by GGUF models",
    ),
    "llamacpp-reranker": Entry(
        "canteen.engines.llamacpp_reranker",
        "LlamaCppReranker",
        "xllamacpp",
        True,
        "ranking by GGUF models that are made for it",
    ),
    "openai": Entry(
        "canteen.engines.openai",
        "OpenAIEngine",
        "httpx",
        False,
        "models of other services: canteen pull upstream:NAME",
        is_in_worker=False,
    ),
    "openai-embedder": Entry(
        "canteen.engines.openai",
        "OpenAIEmbedder",
        "httpx",
        True,
        "embeddings of other services",
        is_in_worker=False,
    ),
    "echo": Entry(
        "canteen.engines.echo",
        "EchoEngine",
        "",
        False,
        "says the prompt back; for tests, at any speed",
    ),
    "echo-embedder": Entry(
        "canteen.engines.echo",
        "EchoEmbedder",
        "",
        True,
        "vectors of hashed words; for tests",
    ),
}


def is_embedder(name: str) -> bool:
    """Whether the engine makes embeddings."""
    return name in ENGINES and ENGINES[name].is_embedder


def steps_itself(name: str) -> bool:
    """Whether the engine is a SelfSteppedEngine."""
    return name in ENGINES and ENGINES[name].steps_itself


def is_installed(name: str) -> bool:
    """Whether the library that the engine needs is there."""
    library = ENGINES[name].library
    return not library or find_spec(library) is not None


def create(name: str, options: dict[str, Any]) -> Any:
    """Make an engine (a StepEngine, a SelfSteppedEngine or a BatchEmbedder) with `options`, its
    keyword arguments.

    Raises NotSupported for an engine that is unknown or not installed.
    """
    if name not in ENGINES or not ENGINES[name].is_in_worker:
        known = ", ".join(key for key, entry in ENGINES.items() if entry.is_in_worker)
        raise NotSupported(f"there is no engine '{name}' for a worker; there are {known}")
    if not is_installed(name):
        raise NotSupported(
            f"engine '{name}' is not installed; run: canteen engine install "
            f"{name.partition('-')[0]}"
        )
    entry = ENGINES[name]
    make: Callable[..., Any] = getattr(import_module(entry.module), entry.cls)
    return make(**{key: _value(key, value) for key, value in options.items()})


def _value(key: str, value: Any) -> Any:
    return Path(value) if key == "folder" else value
