"""The peer's weights at our accuracy: a Q8_0 GGUF of the dequantized tensors of another."""

from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter
from gguf.constants import LlamaFileType
from gguf.quants import dequantize, quantize

Q8_0 = GGMLQuantizationType.Q8_0


def write(source: Path, target: Path) -> None:
    """Write `target` with the metadata of `source`; matrices in Q8_0, vectors in float32."""
    reader = GGUFReader(source)
    partial = target.with_suffix(".partial")
    architecture = reader.fields["general.architecture"].contents()
    writer = GGUFWriter(partial, str(architecture))
    _copy_metadata(reader, writer)
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if values.ndim == 1:
            writer.add_tensor(tensor.name, values)
        else:
            writer.add_tensor(tensor.name, quantize(values, Q8_0), raw_dtype=Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.replace(target)


def _copy_metadata(reader: GGUFReader, writer: GGUFWriter) -> None:
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key in ("general.architecture", "general.file_type"):
            continue
        kind = field.types[0]
        items = field.types[-1] if kind is GGUFValueType.ARRAY else None
        writer.add_key_value(key, field.contents(), kind, items)
    writer.add_file_type(LlamaFileType.MOSTLY_Q8_0)
