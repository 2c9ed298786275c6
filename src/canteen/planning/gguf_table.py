"""What a GGUF file really holds: the shape its header tells, and the bytes of its tensors.

The header is read here, not by the `gguf` library, which takes seconds for a large vocabulary.
The layout is in ggml's docs/gguf.md.
"""

import re
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from canteen.core.errors import InvalidRequest
from canteen.planning.config import from_gguf
from canteen.planning.memory import Weights
from canteen.planning.quantization import GGML_IDS, ggml_bytes
from canteen.planning.spec import ModelSpec
from canteen.planning.tensors import Tensor

_MAGIC = b"GGUF"
_SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_STRING, _ARRAY = 8, 9
# No header has more; a file that says so is none.
_MOST = 1 << 24


@dataclass(frozen=True, slots=True)
class GgufTable:
    """A file's shape, the exact bytes of its tensors, the type that most of them are of, and they
    themselves by the kinds that a shape's have."""

    spec: ModelSpec
    weights: Weights
    type: str
    tensors: tuple[Tensor, ...]


def read(path: Path) -> GgufTable:
    """Read a header and the table of tensors, but no weights.

    Raises InvalidRequest for what is no GGUF, or one of a model without a shape.
    """
    try:
        with path.open("rb") as file:
            metadata, tensors = _Header(file).read()
    except OSError as exc:
        raise InvalidRequest(f"{path.name} cannot be read: {exc.strerror}", param="model") from exc
    except (struct.error, UnicodeDecodeError, ValueError) as exc:
        raise InvalidRequest(f"{path.name} is no GGUF file, or a cut one", param="model") from exc
    embedding = tensors.get("token_embd.weight")
    if embedding is None:
        raise InvalidRequest(f"{path.name} holds no language model", param="model")
    sizes: dict[str, int] = {}
    for one in tensors.values():
        sizes[one.type] = sizes.get(one.type, 0) + ggml_bytes(one.type, one)
    by_size = sorted(sizes, key=lambda name: -sizes[name])
    num_bytes = sum(sizes.values())
    return GgufTable(
        from_gguf(metadata, embedding.rows, "output.weight" not in tensors),
        Weights(
            num_bytes, num_bytes, f"the file's {len(tensors)} tensors, in {', '.join(by_size)}"
        ),
        by_size[0],
        tuple(replace(one, kind=kind(name)) for name, one in tensors.items()),
    )


def kind(name: str) -> str:
    """`ffn_up_exps` of `blk.3.ffn_up_exps.weight`, and of `blk.3.ffn_up.7.weight` as older files
    have each expert."""
    plain = name.removesuffix(".weight")
    if found := re.fullmatch(r"blk\.\d+\.(\w+?)(\.\d+)?", plain):
        return f"{found[1]}_exps" if found[2] else found[1]
    return plain


class _Header:
    """A reader of one header; raises ValueError or struct.error for what is none."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """The metadata but for long arrays, and the tensors by name."""
        if self._file.read(4) != _MAGIC:
            raise ValueError("no GGUF")
        _, num_tensors, num_values = self._unpack("<IQQ")
        if num_tensors > _MOST or num_values > _MOST:
            raise ValueError("no header has as much")
        metadata = {}
        for _ in range(num_values):
            key = self._text()
            (kind,) = self._unpack("<I")
            metadata[key] = self._value(kind)
        return metadata, dict(self._tensor() for _ in range(num_tensors))

    def _tensor(self) -> tuple[str, Tensor]:
        name = self._text()
        (num_dimensions,) = self._unpack("<I")
        cols, *others = self._unpack(f"<{min(num_dimensions, 8)}Q")
        kind, _ = self._unpack("<IQ")
        if kind not in GGML_IDS:
            raise ValueError(f"a tensor of the unknown type {kind}")
        rows = 1
        for size in others:
            rows *= size
        return name, Tensor(name, rows, cols, type=GGML_IDS[kind])

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._text()
        if kind == _ARRAY:
            return self._array()
        return self._unpack("<" + _SCALARS[kind])[0] if kind in _SCALARS else _unknown(kind)

    def _array(self) -> Any:
        """The values of numbers, such as heads by layer; of texts nothing, they are the
        vocabulary's."""
        kind, length = self._unpack("<IQ")
        if length > _MOST:
            raise ValueError("no array is as long")
        if kind == _STRING:
            for _ in range(length):
                self._text_bytes()
            return None
        if kind not in _SCALARS:
            _unknown(kind)
        return list(self._unpack(f"<{length}{_SCALARS[kind]}"))

    def _text(self) -> str:
        return self._text_bytes().decode()

    def _text_bytes(self) -> bytes:
        (length,) = self._unpack("<Q")
        if length > _MOST:
            raise ValueError("no text is as long")
        return self._exactly(length)

    def _unpack(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack(layout, self._exactly(struct.calcsize(layout)))

    def _exactly(self, length: int) -> bytes:
        read = self._file.read(length)
        if len(read) < length:
            raise ValueError("the file ends in its header")
        return read


def _unknown(kind: int) -> Any:
    raise ValueError(f"a value of the unknown type {kind}")
