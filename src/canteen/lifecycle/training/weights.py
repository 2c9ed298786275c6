"""A GGUF as a transformers model with its tokenizer, and the way back."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from canteen.core.errors import ModelUnsuitable
from canteen.lifecycle.gguf_source import GgufSource

# Its rows of queries and keys stand in a GGUF in another order than in transformers.
TURNED = "llama"


def load(path: Path) -> Any:
    """The model in float32, exactly as the file's bytes mean it; raises ModelUnsuitable."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    source = GgufSource(path)
    config = AutoConfig.from_pretrained(path.parent, gguf_file=path.name)
    if head_size := source.own("attention.key_length", 0):
        config.head_dim = int(head_size)
    try:
        return AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, config=config, dtype=torch.float32
        )
    except (ValueError, KeyError, RuntimeError) as exc:
        raise ModelUnsuitable(
            "transformers cannot read this model's weights, so it cannot be trained here; "
            "start from another one"
        ) from exc


def load_tokenizer(path: Path) -> Any:
    """The file's tokenizer, with its chat template."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)


def write(model: Any, parent: Path, path: Path) -> None:
    """Write the model's weights with all else that the parent's file says.

    `model` is a transformers model of the parent's shape; `path` is there whole or not at all.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    GgufSource(parent).write_dequantized(part, lambda done, of: None, Tensors(model))
    part.rename(path)


class Tensors(Mapping[str, Any]):
    """A model's weights as numpy arrays, by the names and in the order of rows of a GGUF."""

    def __init__(self, model: Any) -> None:
        from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

        self._config = model.config
        (architecture,) = (
            key for key, name in MODEL_ARCH_NAMES.items() if name == self._config.model_type
        )
        names = get_tensor_name_map(architecture, self._config.num_hidden_layers)
        self._weights = {
            str(names.get_name(name, (".weight", ".bias"))): weight
            for name, weight in model.state_dict().items()
        }

    def __getitem__(self, name: str) -> Any:
        values = self._weights[name].detach().float().cpu().numpy()
        if self._config.model_type == TURNED and ".attn_q." in name:
            return _turned(values, self._config.num_attention_heads)
        if self._config.model_type == TURNED and ".attn_k." in name:
            return _turned(values, self._config.num_key_value_heads)
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(self._weights)

    def __len__(self) -> int:
        return len(self._weights)


def _turned(rows: Any, num_heads: int) -> Any:
    """Rows of halves of heads, which transformers turns together, as rows of neighbours."""
    halves = rows.reshape(num_heads, 2, -1, *rows.shape[1:])
    return halves.swapaxes(1, 2).reshape(rows.shape)
