"""Preparing a generative model that came as safetensors, for the vllm engine."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from canteen.core.errors import ModelUnsuitable
from canteen.core.model import Prepared, Progress
from canteen.lifecycle import description
from canteen.lifecycle.files import read_object, share
from canteen.lifecycle.gguf_source import END_TOKENS
from canteen.lifecycle.openvino_ir import VOCABULARY, size_bytes

Report = Callable[[Progress], None]

# The library runs what is in a folder of this kind of file; programs that come beside are left.
FILES = ("*.safetensors", "*.safetensors.index.json", "*config.json", "tokenizer.json")


def is_generator(source: Path) -> bool:
    """Whether a folder says that it is a causal language model."""
    kinds = read_object(source / "config.json").get("architectures") or [""]
    return any(str(kind).endswith("ForCausalLM") for kind in kinds)


def from_safetensors(source: Path, out: Path, report: Report) -> Prepared:
    """Take a folder as it is, and write down what an engine must know of its tokens."""
    config = read_object(source / "config.json")
    report(Progress("copying"))
    for pattern in FILES:
        for file in sorted(source.glob(pattern)):
            share(str(file), str(out / file.name))
    if not (out / "tokenizer.json").exists():
        raise ModelUnsuitable("the folder has no tokenizer.json; the vllm engine needs it")
    tokenizer = _Tokenizer(source)
    context_length = int(config.get("max_position_embeddings") or 0)
    if context_length < 2:
        raise ModelUnsuitable("config.json has no max_position_embeddings, the model's context")
    vocabulary, template = tokenizer.vocabulary(), tokenizer.template()
    description.write_json(out / VOCABULARY, vocabulary)
    description.write_generator(out, tokenizer.tokens(), context_length, len(vocabulary), template)
    weights = _weights(out)
    return Prepared(
        kind="generator",
        engine="vllm",
        format="safetensors",
        architecture=str(config.get("model_type", "unknown")),
        num_parameters=weights.total(),
        context_length=context_length,
        size_bytes=size_bytes(out),
        quantization=_quantization(config, weights),
        embedding_length=int(config.get("hidden_size", 0)),
        template=template,
        metadata={"config": config},
    )


class _Tokenizer:
    """What a folder tells of its tokens."""

    def __init__(self, source: Path) -> None:
        from tokenizers import Tokenizer

        self._source = source
        self._told = read_object(source / "tokenizer_config.json")
        self._config = read_object(source / "config.json") | read_object(
            source / "generation_config.json"
        )
        self._pieces = read_object(source / "tokenizer.json")
        self._tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))

    def tokens(self) -> description.Tokens:
        """What an engine must know of them."""
        bos_id = self._bos_id()
        marked = self._tokenizer.encode("a").ids
        special = {one["content"]: one["id"] for one in self._added() if one.get("special")}
        ends = self._config.get("eos_token_id")
        listed = ends if isinstance(ends, list) else [] if ends is None else [ends]
        named = [special[text] for text in sorted(END_TOKENS & special.keys())]
        return description.Tokens(
            eos_token_ids=list(dict.fromkeys([*map(int, listed), *named])),
            control_token_ids=sorted(special.values()),
            bos_token_id=bos_id,
            add_bos_token=bos_id is not None and len(marked) > 1 and marked[0] == bos_id,
        )

    def vocabulary(self) -> list[str]:
        """Tokens by id, a character for each byte; ids without a token are empty."""
        ids = self._tokenizer.get_vocab(with_added_tokens=True)
        added = {one["content"] for one in self._added()}
        to_bytes = _of_byte_level if self._is_byte_level() else _of_sentence_piece
        vocabulary = [""] * self._num_tokens()
        for piece, token_id in ids.items():
            data = piece.encode() if piece in added else to_bytes(piece)
            vocabulary[token_id] = data.decode("latin-1")
        return vocabulary

    def _num_tokens(self) -> int:
        """Of the model, which may have some more than the tokenizer, for a round number."""
        ids = self._tokenizer.get_vocab(with_added_tokens=True).values()
        return max(int(self._config.get("vocab_size", 0)), max(ids, default=-1) + 1)

    def _added(self) -> list[dict[str, Any]]:
        return list(self._pieces.get("added_tokens") or [])

    def _is_byte_level(self) -> bool:
        """Whether pieces are written in the letters that stand for bytes."""
        parts = json.dumps([self._pieces.get("pre_tokenizer"), self._pieces.get("decoder")])
        return '"ByteLevel"' in parts

    def _bos_id(self) -> int | None:
        told = self._config.get("bos_token_id")
        return None if told is None else int(told)

    def template(self) -> str:
        """The chat template; empty for none."""
        apart = self._source / "chat_template.jinja"
        if apart.exists():
            return apart.read_text("utf-8")
        told = self._told.get("chat_template") or ""
        if isinstance(told, list):
            return next((one["template"] for one in told if one["name"] == "default"), "")
        return str(told)


def _byte_letters() -> Iterator[tuple[str, int]]:
    """The letter that a vocabulary of bytes writes for each of them."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("\xa1"), ord("\xac") + 1)]
    plain += range(ord("\xae"), ord("\xff") + 1)
    yield from ((chr(byte), byte) for byte in plain)
    others = (byte for byte in range(256) if byte not in plain)
    yield from ((chr(256 + number), byte) for number, byte in enumerate(others))


_BYTE_OF = dict(_byte_letters())


def _of_byte_level(piece: str) -> bytes:
    if not all(letter in _BYTE_OF for letter in piece):
        return piece.encode()
    return bytes(_BYTE_OF[letter] for letter in piece)


def _of_sentence_piece(piece: str) -> bytes:
    """Pieces are text, with a mark for a space, or a byte as <0x0A>."""
    if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        return bytes([int(piece[3:5], 16)])
    return piece.replace("\u2581", " ").encode()


def _weights(folder: Path) -> Counter[str]:
    """Weights by element type, from the headers of the files."""
    from safetensors import SafetensorError, safe_open

    counts: Counter[str] = Counter()
    for file in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(file, "numpy") as opened:
                for name in opened.keys():  # noqa: SIM118 - it is no mapping
                    part = opened.get_slice(name)
                    counts[part.get_dtype()] += math.prod(part.get_shape())
        except SafetensorError as exc:
            raise ModelUnsuitable(f"{file.name} is damaged; pull the model again") from exc
    if not counts:
        raise ModelUnsuitable("the folder has no safetensors file")
    return counts


def _quantization(config: Mapping[str, Any], weights: Counter[str]) -> str:
    told = config.get("quantization_config") or {}
    return str(told.get("quant_method") or weights.most_common(1)[0][0]).upper()
