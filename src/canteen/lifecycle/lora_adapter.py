"""Preparing a LoRA adapter, a folder as PEFT writes it, for the model that it goes on."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from canteen.core.errors import ModelUnsuitable
from canteen.core.model import Prepared
from canteen.lifecycle.files import read_object, share
from canteen.lifecycle.openvino_ir import size_bytes

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
# What the vllm engine has room for at most.
MOST_RANK = 512
# What changes more of a model, or otherwise, than the engine can for a single request.
_UNUSUAL = (
    "use_dora",
    "lora_bias",
    "modules_to_save",
    "layer_replication",
    "trainable_token_indices",
    "target_parameters",
    "alora_invocation_tokens",
    "use_qalora",
    "use_bdlora",
)
# Ways to begin a training that change no weights of the model.
_PLAIN_BEGINNINGS = ("gaussian", "eva", "orthogonal", "mica")
_PREFIX = "base_model.model."
_IN, _OUT = ".lora_A.weight", ".lora_B.weight"
Shape = tuple[int, ...]


def from_peft(source: Path, out: Path, model: Path) -> Prepared:
    """Take an adapter as it is, for the prepared safetensors in `model`.

    Raises ModelUnsuitable for what is none, or does not fit that model.
    """
    for name in (CONFIG, WEIGHTS):
        if not (source / name).is_file():
            raise ModelUnsuitable(
                f"the adapter has no {name}; it is to be a folder as PEFT's save_pretrained writes "
                f"it, with {CONFIG} and {WEIGHTS}"
            )
    config = read_object(source / CONFIG)
    _check_kind(config)
    shapes, dtype = _shapes(source / WEIGHTS)
    told = read_object(model / "config.json")
    _check_layers(shapes, model, is_quantized="quantization_config" in told)
    rank = _checked_rank(config, shapes)
    for name in (WEIGHTS, CONFIG):
        share(str(source / name), str(out / name))
    return Prepared(
        kind="generator",
        engine="vllm",
        format="lora",
        architecture=str(told.get("model_type", "unknown")),
        num_parameters=sum(map(math.prod, shapes.values())),
        context_length=int(told.get("max_position_embeddings") or 0),
        size_bytes=size_bytes(out),
        quantization=dtype,
        embedding_length=int(told.get("hidden_size", 0)),
        metadata={"lora.rank": rank, "lora.alpha": config.get("lora_alpha")},
    )


def _check_kind(config: Mapping[str, Any]) -> None:
    kind = config.get("peft_type")
    if kind != "LORA":
        raise ModelUnsuitable(f"the adapter is of the kind {kind!r}, and only LORA can be served")
    found = [name for name in _UNUSUAL if config.get(name)]
    begun = config.get("init_lora_weights")
    if isinstance(begun, str) and begun.lower() not in _PLAIN_BEGINNINGS:
        found.append("init_lora_weights")
    if config.get("bias", "none") != "none":
        found.append("bias")
    if found:
        raise ModelUnsuitable(
            f"the adapter was made with {' and '.join(found)}, which cannot be put on for a single "
            "request; merge it into its model with PEFT, and pull that"
        )


def _shapes(path: Path) -> tuple[dict[str, Shape], str]:
    """The shapes of what is in a file, by name, and what the first is stored as."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as opened:
            parts = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118
            shapes = {name: tuple(part.get_shape()) for name, part in parts.items()}
            dtypes = [str(part.get_dtype()) for part in parts.values()]
    except SafetensorError as exc:
        raise ModelUnsuitable(f"{path.name} is damaged; fetch it again") from exc
    if not shapes:
        raise ModelUnsuitable(f"there is nothing in {path.name}")
    return shapes, dtypes[0]


def _of_model(folder: Path) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for file in sorted(folder.glob("*.safetensors")):
        shapes |= _shapes(file)[0]
    return shapes


def _modules(shapes: Mapping[str, Shape]) -> Iterator[tuple[str, Shape, Shape]]:
    """The linear layers that an adapter changes, with the shapes of its two matrices."""
    for name in shapes:
        module = name.removeprefix(_PREFIX).removesuffix(_IN).removesuffix(_OUT)
        parts = [shapes.get(f"{_PREFIX}{module}{end}", ()) for end in (_IN, _OUT)]
        if not name.startswith(_PREFIX) or [len(part) for part in parts] != [2, 2]:
            raise ModelUnsuitable(
                f"the adapter has {name}, which is not one of two matrices of a linear layer; only "
                "such layers can be changed for a single request"
            )
        if name.endswith(_IN):
            yield module, parts[0], parts[1]


def _check_layers(shapes: Mapping[str, Shape], model: Path, *, is_quantized: bool) -> None:
    """Raises ModelUnsuitable where an adapter changes what the model has not. Weights of fewer bits
    have shapes of their own."""
    there = _of_model(model)
    layers = {name.rpartition(".")[0] for name in there}
    for module, (rank, num_in), (num_out, other_rank) in _modules(shapes):
        if module not in layers:
            raise ModelUnsuitable(
                f"the adapter is for another model: it changes {module}, which this one has not"
            )
        fits = is_quantized or there.get(f"{module}.weight") == (num_out, num_in)
        if not fits or rank != other_rank:
            raise ModelUnsuitable(
                f"the adapter is for another model: it changes {module} as one of {num_in} inputs "
                f"and {num_out} outputs, which it is not in this one"
            )


def _checked_rank(config: Mapping[str, Any], shapes: Mapping[str, Shape]) -> int:
    """The highest rank of its matrices, and that it says it has."""
    told = [config.get("r"), *(config.get("rank_pattern") or {}).values()]
    if not all(isinstance(rank, int) and rank > 0 for rank in told):
        raise ModelUnsuitable(f"{CONFIG} has no rank 'r' of at least 1")
    highest = max(*told, *(shape[0] for name, shape in shapes.items() if name.endswith(_IN)))
    if highest > MOST_RANK:
        raise ModelUnsuitable(f"the adapter's rank is {highest}, and can be {MOST_RANK} at most")
    return int(highest)
