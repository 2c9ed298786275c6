"""Embeddings by GGUF models, through llama.cpp."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from canteen.core.batching import by_length
from canteen.core.engine import BatchEmbedder
from canteen.core.errors import ContextTooLong, InvalidRequest
from canteen.core.generation import EmbeddingRequest, Embeddings, Usage
from canteen.engines.llamacpp_server import LlamaServer, Loading
from canteen.engines.prompts import about

# A text is read in one batch, whose memory is taken when the model is loaded.
MOST_CONTEXT = 2048
MAX_NUM_SEQS = 8
# What is longer than a context of such words is not tokenized to its end.
MOST_CHARACTERS_A_TOKEN = 32


class LlamaCppEmbedder(BatchEmbedder):
    """The embedder of a GGUF file, which `folder` describes."""

    name = "llamacpp-embedder"

    def __init__(
        self, folder: Path, *, model: str, num_threads: int = 0, num_gpu_layers: int = 0
    ) -> None:
        told = about(folder)
        self._context_length = min(int(told["context_length"]), MOST_CONTEXT)
        self._embedding_length = int(told["embedding_length"])
        self._vocab_size = int(told["vocab_size"])
        self._server = LlamaServer(
            loading(Path(model), self._context_length, num_threads, num_gpu_layers)
        )
        self._before, self._after = _marks(self._server)

    def embed(
        self, request: EmbeddingRequest, before_step: Callable[[int], object] = lambda tokens: None
    ) -> Embeddings:
        """Embed; a text over the context raises ContextTooLong unless `truncate` cuts it."""
        dimensions = self._dimensions(request)
        texts = [self._tokens(one, request.truncate) for one in request.inputs]
        cut = [self._cut(text, request.truncate) for text in texts]
        num_tokens = sum(map(len, cut))
        usage = Usage(prompt_tokens=num_tokens, truncated_tokens=sum(map(len, texts)) - num_tokens)
        vectors: list[tuple[float, ...]] = [()] * len(cut)
        for batch in by_length([len(text) for text in cut], self._context_length):
            together = [cut[index] for index in batch]
            before_step(sum(map(len, together)))
            for index, vector in zip(batch, self._server.embed(together), strict=True):
                vectors[index] = _unit(vector[:dimensions])
        return Embeddings(tuple(vectors), usage)

    def _dimensions(self, request: EmbeddingRequest) -> int:
        dimensions = request.dimensions or self._embedding_length
        if not 1 <= dimensions <= self._embedding_length:
            raise InvalidRequest(
                f"this model gives 1 to {self._embedding_length} dimensions, not {dimensions}",
                param="dimensions",
            )
        return dimensions

    def _tokens(self, text: str | tuple[int, ...], truncate: bool) -> list[int]:
        """A text between the marks that every text has, or a caller's own tokens."""
        if isinstance(text, str):
            tokens = self._server.encode(bounded(text, self._context_length, truncate))
        else:
            tokens = self._checked(text)
        if tokens[: len(self._before)] == self._before and self._before:
            return tokens
        # A model without marks reads an empty text as its first token.
        return [*self._before, *tokens, *self._after] or [0]

    def _checked(self, tokens: tuple[int, ...]) -> list[int]:
        if any(not 0 <= token < self._vocab_size for token in tokens):
            raise InvalidRequest(
                f"token ids of this model are 0 to {self._vocab_size - 1}; "
                "send text, or tokens of this model's own vocabulary",
                param="input",
            )
        return list(tokens)

    def _cut(self, tokens: list[int], truncate: bool) -> list[int]:
        if len(tokens) <= self._context_length:
            return tokens
        if not truncate:
            raise ContextTooLong(len(tokens), self._context_length)
        return [*tokens[: self._context_length - len(self._after)], *self._after]


def loading(
    model: Path, context_length: int, num_threads: int, num_gpu_layers: int, *, ranks: bool = False
) -> Loading:
    """How a model is loaded that only reads, so many tokens at once."""
    return Loading(
        model,
        context_length=context_length * MAX_NUM_SEQS,
        max_num_seqs=MAX_NUM_SEQS,
        batch_length=context_length,
        num_threads=num_threads,
        num_gpu_layers=num_gpu_layers,
        purpose="ranking" if ranks else "embedding",
    )


def bounded(text: str, context_length: int, truncate: bool) -> str:
    """The text, or its beginning where it is so long that tokenizing it would stall others."""
    most = context_length * MOST_CHARACTERS_A_TOKEN
    if len(text) <= most:
        return text
    if not truncate:
        raise ContextTooLong(len(text) // MOST_CHARACTERS_A_TOKEN, context_length, is_at_least=True)
    return text[:most]


def _marks(server: LlamaServer) -> tuple[list[int], list[int]]:
    """The tokens before and after every text."""
    plain, marked = server.encode("a"), server.marked("a")
    start = next(
        place for place in range(len(marked)) if marked[place : place + len(plain)] == plain
    )
    return marked[:start], marked[start + len(plain) :]


def _unit(vector: Sequence[float]) -> tuple[float, ...]:
    length = math.hypot(*vector) or 1.0
    return tuple(one / length for one in vector)
