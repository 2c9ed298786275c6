"""A GGUF file: what it says of itself, and a copy of it with every tensor dequantized."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from canteen.core.errors import ModelUnsuitable
from canteen.lifecycle.description import Tokens

ARCHITECTURES = ("llama", "qwen2", "qwen3")
LLAMACPP_HINT = "canteen engine install llamacpp"

# What ends a turn, whatever the file names as its end-of-sequence token.
END_TOKENS = {"<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "</s>"}
END_KEYS = ("eos_token_id", "eot_token_id", "eom_token_id")
CONTROL_TOKEN = 3
MODELS_WITHOUT_BOS = ("gpt2",)
FILE_TYPE_F16 = 1
MAX_METADATA_CHARS = 2000


class GgufSource:
    """Reads one GGUF file through a memory map; raises ModelUnsuitable where no engine runs it."""

    def __init__(self, path: Path) -> None:
        from gguf import GGUFReader

        self.path = path
        _check_whole(path)
        try:
            self._reader = GGUFReader(path)
        except (ValueError, KeyError, IndexError, UnicodeDecodeError, OSError) as exc:
            raise _damaged() from exc
        self.architecture = str(self.value("general.architecture", ""))
        _check_alone(self)

    def value(self, key: str, default: Any = None) -> Any:
        """The value of one key; a damaged one counts as missing."""
        field = self._reader.get_field(key)
        return default if field is None else field.contents()

    def own(self, key: str, default: Any = None) -> Any:
        """The value of a key that begins with the architecture's name."""
        return self.value(f"{self.architecture}.{key}", default)

    def check_for_openvino(self) -> None:
        """Raise ModelUnsuitable for what OpenVINO's reader cannot run, saying what can."""
        if self.architecture not in ARCHITECTURES:
            raise _other_engine(f"a GGUF of architecture '{self.architecture or 'unknown'}'")
        if self.own("expert_count", 0):
            raise _other_engine(f"a mixture of experts ('{self.architecture}')")
        # The reader knows no scaled rotary positions and would ignore them without a word.
        scaling = self.own("rope.scaling.type", "none")
        if scaling != "none" or "rope_freqs.weight" in self.tensor_names:
            raise _other_engine(f"scaled rotary positions ('{self.architecture}')")

    @property
    def num_parameters(self) -> int:
        return sum(math.prod(int(size) for size in t.shape) for t in self._reader.tensors)

    @property
    def context_length(self) -> int:
        return int(self.own("context_length", 2048))

    @property
    def quantization(self) -> str:
        """The type that holds most of the weights, as in Q4_1."""
        sizes: Counter[str] = Counter()
        for tensor in self._reader.tensors:
            sizes[tensor.tensor_type.name] += int(tensor.n_elements)
        return sizes.most_common(1)[0][0]

    @property
    def tensor_names(self) -> set[str]:
        return {tensor.name for tensor in self._reader.tensors}

    def end_token_ids(self) -> list[int]:
        """Ids that end a completion, the file's own end of sequence first."""
        named = [self.value(f"tokenizer.ggml.{key}") for key in END_KEYS]
        tokens = self.value("tokenizer.ggml.tokens", [])
        control = set(self.control_token_ids())
        known = [i for i, token in enumerate(tokens) if i in control and token in END_TOKENS]
        return list(dict.fromkeys(int(i) for i in [*named, *known] if i is not None))

    def tokens(self) -> Tokens:
        """How its sequences begin and end."""
        bos = self.value("tokenizer.ggml.bos_token_id")
        without = self.value("tokenizer.ggml.model") in MODELS_WITHOUT_BOS
        add_bos = bool(self.value("tokenizer.ggml.add_bos_token", not without))
        return Tokens(
            self.end_token_ids(), self.control_token_ids(), bos, add_bos and bos is not None
        )

    def control_token_ids(self) -> list[int]:
        """Ids of tokens that steer the model and are no text."""
        types = self.value("tokenizer.ggml.token_type", [])
        return [i for i, kind in enumerate(types) if kind == CONTROL_TOKEN]

    def metadata(self) -> dict[str, Any]:
        """The small scalars among the file's keys."""
        return {
            key: value
            for key, value in self._scalars()
            if not (isinstance(value, str) and len(value) > MAX_METADATA_CHARS)
        }

    def _scalars(self) -> Iterator[tuple[str, Any]]:
        from gguf import GGUFValueType

        for key, field in self._reader.fields.items():
            if not key.startswith("GGUF.") and field.types[0] is not GGUFValueType.ARRAY:
                yield key, field.contents()

    def write_dequantized(
        self,
        path: Path,
        report: Callable[[int, int], None],
        replaced: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the same model with F16 matrices and F32 vectors, one tensor at a time.

        `report` is told the tensors done and their number. Tensors in `replaced`, by name, are
        written in place of the file's own; each has the shape of the one it replaces.
        """
        from gguf import GGUFWriter
        from gguf.quants import dequantize

        writer = GGUFWriter(path, self.architecture)
        self._copy_metadata(writer)
        tensors = self._reader.tensors
        for tensor in tensors:
            shape = tuple(int(size) for size in reversed(tensor.shape))
            kind = _stored_as(tensor)
            writer.add_tensor_info(tensor.name, shape, kind, math.prod(shape) * kind.itemsize)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for done, tensor in enumerate(tensors, 1):
            values = (replaced or {}).get(tensor.name)
            if values is None:
                values = dequantize(tensor.data, tensor.tensor_type)
            writer.write_tensor_data(values.astype(_stored_as(tensor)))
            report(done, len(tensors))
        writer.close()

    def _copy_metadata(self, writer: Any) -> None:
        from gguf import GGUFValueType

        rewritten = ("general.architecture", "general.file_type", "general.quantization_version")
        for key, field in self._reader.fields.items():
            if key.startswith("GGUF.") or key in rewritten:
                continue
            kind = field.types[0]
            items = field.types[-1] if kind is GGUFValueType.ARRAY else None
            writer.add_key_value(key, field.contents(), kind, items)
        writer.add_file_type(FILE_TYPE_F16)


def _stored_as(tensor: Any) -> Any:
    import numpy as np

    # Norms and biases are tiny and sensitive: they stay float32.
    return np.dtype(np.float32 if len(tensor.shape) == 1 else np.float16)


def _damaged() -> ModelUnsuitable:
    return ModelUnsuitable("the GGUF file is damaged or cut short; pull it again")


def _check_whole(path: Path) -> None:
    """Whether it begins as GGUF at all; the reader's own messages speak of bytes."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic != b"GGUF":
        raise ModelUnsuitable(
            "this is no GGUF file; a model is a .gguf file or a folder with openvino_model.xml"
        )


def _check_alone(source: GgufSource) -> None:
    if source.value("split.count", 1) > 1:
        raise ModelUnsuitable("one part of a split GGUF; merge its parts into one file first")
    if source.value("tokenizer.ggml.tokens") is None:
        raise ModelUnsuitable("the GGUF has no vocabulary; it cannot be run on its own")


def _other_engine(what: str) -> ModelUnsuitable:
    return ModelUnsuitable(
        f"{what} is not run by the openvino engine, which runs {', '.join(ARCHITECTURES)}; "
        f"the llamacpp engine does: {LLAMACPP_HINT}"
    )
