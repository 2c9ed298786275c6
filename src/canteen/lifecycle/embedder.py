"""Preparing an embedding model: the fastest form whose vectors stay true."""

import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from canteen.core.errors import ModelUnsuitable
from canteen.core.model import Prepared, Progress
from canteen.lifecycle import description, openvino_ir
from canteen.lifecycle.perplexity import quality_text

Report = Callable[[Progress], None]

ARCHITECTURE = "bert"
DEFAULT_CONTEXT_LENGTH = 512
# Short texts are sentences, long ones paragraphs: together a few hundred.
NUM_SENTENCES = 250


def from_safetensors(source: Path, out: Path, report: Report) -> Prepared:
    """Build the graph of a sentence-transformers folder, and choose its arithmetic by measuring."""
    from canteen.lifecycle.bert_graph import BertConfig, BertGraph
    from canteen.lifecycle.embedder_forms import Texts, choose

    config = _config(source)
    report(Progress("converting"))
    weights = _weights(source)
    try:
        model = BertGraph(BertConfig(**{key: config[key] for key in _SHAPE}), weights).build()
    except KeyError as exc:
        raise ModelUnsuitable(f"model.safetensors has no weights {exc}") from exc
    context_length = _context_length(source, config)
    report(Progress("measuring"))
    texts = Texts(source / "tokenizer.json", context_length, measured_texts())
    form, record = choose(model, texts, time.perf_counter)
    report(Progress("writing"))
    form.save(out / openvino_ir.MODEL)
    shutil.copyfile(source / "tokenizer.json", out / "tokenizer.json")
    description.write(
        out,
        kind="embedder",
        context_length=context_length,
        embedding_length=config["hidden_size"],
        properties=form.properties,
    )
    size_bytes = openvino_ir.size_bytes(out)
    before = (source / "model.safetensors").stat().st_size
    return Prepared(
        kind="embedder",
        engine="openvino-embedder",
        format="safetensors",
        architecture=ARCHITECTURE,
        num_parameters=sum(w.size for w in weights.values() if w.dtype.kind == "f"),
        context_length=context_length,
        size_bytes=size_bytes,
        quantization="F32",
        embedding_length=config["hidden_size"],
        license=_license(source),
        quality={"bytes_before": before, "bytes_after": size_bytes, **record},
    )


_SHAPE = ("num_hidden_layers", "num_attention_heads", "hidden_size", "layer_norm_eps")


def measured_texts() -> list[str]:
    """Sentences and whole paragraphs of the quality text."""
    paragraphs = quality_text().strip().split("\n\n")
    sentences = [s for p in paragraphs for s in re.split(r"(?<=[.!?]) +", p)]
    return sentences[:NUM_SENTENCES] + paragraphs


def _weights(source: Path) -> dict[str, Any]:
    """Weights by name, without the `bert.` that some publishers put before them."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        weights = load_file(source / "model.safetensors")
    except SafetensorError as exc:
        raise ModelUnsuitable("model.safetensors is damaged or cut short; pull it again") from exc
    return {name.removeprefix("bert."): weight for name, weight in weights.items()}


def _config(source: Path) -> dict[str, Any]:
    config: dict[str, Any] = _json(source, "config.json")
    pooling = _json(source, "1_Pooling/config.json")
    if config.get("model_type") != ARCHITECTURE or config.get("hidden_act") != "gelu":
        raise ModelUnsuitable(
            f"an embedder of type '{config.get('model_type', 'unknown')}' is not supported; "
            "what runs is BERT with gelu, as in all-MiniLM-L6-v2"
        )
    if not pooling.get("pooling_mode_mean_tokens", True):
        raise ModelUnsuitable("only embedders that average over the tokens are supported")
    if missing := [key for key in _SHAPE if key not in config]:
        raise ModelUnsuitable(f"config.json lacks {', '.join(missing)}")
    return config


def _context_length(source: Path, config: dict[str, Any]) -> int:
    told = _json(source, "sentence_bert_config.json").get("max_seq_length")
    return int(told or config.get("max_position_embeddings", DEFAULT_CONTEXT_LENGTH))


def _license(source: Path) -> str:
    """The licence that the model card's header names."""
    card = source / "README.md"
    text = card.read_text("utf-8", errors="replace") if card.exists() else ""
    found = re.search(r"^license:\s*(\S+)", text, re.MULTILINE)
    return found.group(1) if found else ""


def _json(source: Path, name: str) -> dict[str, Any]:
    path = source / name
    if not path.exists():
        return {}
    try:
        value: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except ValueError as exc:
        raise ModelUnsuitable(f"{name} in the folder is not valid JSON") from exc
    return value
