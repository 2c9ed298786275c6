"""A GGUF for the llamacpp engine, which runs the file as it is: nothing is converted."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from canteen.core.errors import ModelUnsuitable
from canteen.core.model import Kind, Prepared
from canteen.lifecycle import description
from canteen.lifecycle.gguf_source import GgufSource

# How a model makes one vector of a text's tokens, as GGUF numbers it; the last is no vector but
# how well a text answers a query.
POOLED = (1, 2, 3)
RANKED = 4
ENCODERS = ("bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "modern-bert")


def is_generator(gguf: GgufSource) -> bool:
    """Whether a model writes, rather than reads only."""
    pooling = gguf.own("pooling_type", 0)
    return gguf.architecture not in ENCODERS and pooling not in (*POOLED, RANKED)


def from_gguf(gguf: GgufSource, out: Path, adapters: Sequence[Path] = ()) -> Prepared:
    """Describe the model in `out`, and lay the LoRA adapters beside, each a GGUF file."""
    for number, adapter in enumerate(adapters):
        _check_adapter(adapter, gguf)
        shutil.copyfile(adapter, out / f"adapter-{number}.gguf")
    return _generator(gguf, out) if is_generator(gguf) else _embedder(gguf, out)


def _generator(gguf: GgufSource, out: Path) -> Prepared:
    template = str(gguf.value("tokenizer.chat_template", ""))
    num_tokens = len(gguf.value("tokenizer.ggml.tokens"))
    description.write_generator(out, gguf.tokens(), gguf.context_length, num_tokens, template)
    return _prepared(gguf, "generator", "llamacpp", template)


def _embedder(gguf: GgufSource, out: Path) -> Prepared:
    is_ranker = gguf.own("pooling_type", 0) == RANKED
    kind: Kind = "reranker" if is_ranker else "embedder"
    description.write(
        out,
        kind=kind,
        context_length=gguf.context_length,
        embedding_length=int(gguf.own("embedding_length", 0)),
        vocab_size=len(gguf.value("tokenizer.ggml.tokens")),
    )
    return _prepared(gguf, kind, f"llamacpp-{kind}")


def _prepared(gguf: GgufSource, kind: Kind, engine: str, template: str = "") -> Prepared:
    return Prepared(
        kind=kind,
        engine=engine,
        format="gguf",
        architecture=gguf.architecture,
        num_parameters=gguf.num_parameters,
        context_length=gguf.context_length,
        size_bytes=gguf.path.stat().st_size,
        quantization=gguf.quantization,
        embedding_length=int(gguf.own("embedding_length", 0)),
        template=template,
        license=str(gguf.value("general.license", "")),
        metadata=gguf.metadata(),
    )


def _check_adapter(path: Path, gguf: GgufSource) -> None:
    from gguf import GGUFReader

    try:
        reader = GGUFReader(path)
    except (ValueError, KeyError, IndexError, UnicodeDecodeError, OSError) as exc:
        raise _no_adapter(path) from exc
    told = {
        key: field.contents()
        for key in ("general.type", "adapter.type", "general.architecture")
        if (field := reader.get_field(key)) is not None
    }
    if (told.get("general.type"), told.get("adapter.type")) != ("adapter", "lora"):
        raise _no_adapter(path)
    if told.get("general.architecture") != gguf.architecture:
        raise ModelUnsuitable(
            f"the adapter {path.name} is for architecture '{told.get('general.architecture')}', "
            f"and the model is of '{gguf.architecture}'"
        )


def _no_adapter(path: Path) -> ModelUnsuitable:
    return ModelUnsuitable(
        f"{path.name} is no LoRA adapter in GGUF; llama.cpp's convert_lora_to_gguf.py makes one "
        "of a folder of PEFT's"
    )
