"""Embeddings through OpenVINO: texts cut by WordPiece, batched by length, averaged in the graph."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from tokenizers import Tokenizer

from canteen.core.batching import by_length
from canteen.core.engine import BatchEmbedder
from canteen.core.errors import ContextTooLong, EngineError, InvalidRequest
from canteen.core.generation import EmbeddingRequest, Embeddings, Usage

# Measured: more tokens a batch gain nothing on two cores and cost memory.
MAX_BATCHED_TOKENS = 512
# More than the longest word of any vocabulary. What is longer than a context of such words is
# not tokenized to its end: megabytes would hold up everybody's embeddings.
MOST_CHARACTERS_A_TOKEN = 32


class OpenVinoEmbedder(BatchEmbedder):
    """The embedder of a prepared folder."""

    name = "openvino-embedder"

    def __init__(self, folder: Path, *, num_threads: int | None = None) -> None:
        description = json.loads((folder / "canteen.json").read_text("utf-8"))
        self._context_length = int(description["context_length"])
        self._embedding_length = int(description["embedding_length"])
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        properties = dict(description["properties"])
        if num_threads:
            properties["INFERENCE_NUM_THREADS"] = num_threads
        model = folder / "openvino_model.xml"
        self._model = openvino.Core().compile_model(model, "CPU", properties)
        self._request = self._model.create_infer_request()
        empty = self._tokenizer.encode("").ids
        self._first, self._last = empty[0], empty[-1]

    def embed(
        self, request: EmbeddingRequest, before_step: Callable[[int], object] = lambda tokens: None
    ) -> Embeddings:
        """Embed; a text over the context raises ContextTooLong unless `truncate` cuts it."""
        dimensions = self._dimensions(request)
        texts = self._tokens(request.inputs, request.truncate)
        cut = [self._cut(text, request.truncate) for text in texts]
        num_tokens = sum(map(len, cut))
        usage = Usage(prompt_tokens=num_tokens, truncated_tokens=sum(map(len, texts)) - num_tokens)
        vectors = self._vectors(cut, dimensions, before_step)
        return Embeddings(tuple(map(tuple, vectors.tolist())), usage)

    def _dimensions(self, request: EmbeddingRequest) -> int:
        dimensions = request.dimensions
        if dimensions is None:
            return self._embedding_length
        if not 1 <= dimensions <= self._embedding_length:
            raise InvalidRequest(
                f"this model gives 1 to {self._embedding_length} dimensions, not {dimensions}",
                param="dimensions",
            )
        return dimensions

    def _tokens(self, inputs: Sequence[str | tuple[int, ...]], truncate: bool) -> list[list[int]]:
        texts = [self._bounded(item, truncate) for item in inputs if isinstance(item, str)]
        encoded = iter(self._tokenizer.encode_batch_fast(texts))
        return [
            next(encoded).ids if isinstance(item, str) else self._given(item) for item in inputs
        ]

    def _bounded(self, text: str, truncate: bool) -> str:
        most = self._context_length * MOST_CHARACTERS_A_TOKEN
        if len(text) <= most:
            return text
        if not truncate:
            least = len(text) // MOST_CHARACTERS_A_TOKEN
            raise ContextTooLong(least, self._context_length, is_at_least=True)
        return text[:most]

    def _given(self, tokens: tuple[int, ...]) -> list[int]:
        """A caller's own tokens, between the marks that every text has."""
        vocab_size = self._tokenizer.get_vocab_size()
        if any(not 0 <= token < vocab_size for token in tokens):
            raise InvalidRequest(
                f"token ids of this model are 0 to {vocab_size - 1}; "
                "send text, or tokens of this model's own vocabulary",
                param="input",
            )
        if tokens and tokens[0] == self._first:
            return list(tokens)
        return [self._first, *tokens, self._last]

    def _cut(self, tokens: list[int], truncate: bool) -> list[int]:
        if len(tokens) <= self._context_length:
            return tokens
        if not truncate:
            raise ContextTooLong(len(tokens), self._context_length)
        return [*tokens[: self._context_length - 1], self._last]

    def _vectors(
        self, texts: Sequence[Sequence[int]], dimensions: int, before_step: Callable[[int], object]
    ) -> Any:
        vectors = np.zeros((len(texts), self._embedding_length), np.float32)
        for batch in by_length([len(text) for text in texts], MAX_BATCHED_TOKENS):
            together = [texts[index] for index in batch]
            before_step(len(together) * max(map(len, together)))
            vectors[batch] = self._infer(together)
        if dimensions == self._embedding_length:
            return vectors
        head = vectors[:, :dimensions]
        return head / np.maximum(np.linalg.norm(head, axis=1, keepdims=True), 1e-12)

    def _infer(self, texts: Sequence[Sequence[int]]) -> Any:
        ids = np.zeros((len(texts), max(map(len, texts))), np.int64)
        mask = np.zeros_like(ids)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = text
            mask[row, : len(text)] = 1
        try:
            return self._request.infer({"input_ids": ids, "attention_mask": mask})["embeddings"]
        except RuntimeError as exc:
            raise EngineError("the embedder failed; the model is being loaded again") from exc
