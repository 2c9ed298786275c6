"""How well texts answer a query, by GGUF models that are made for that, through llama.cpp."""

from collections.abc import Callable
from pathlib import Path

from canteen.core.engine import BatchEmbedder
from canteen.core.errors import ContextTooLong, InvalidRequest
from canteen.core.generation import EmbeddingRequest, Embeddings, Usage
from canteen.engines.llamacpp_embedder import MAX_NUM_SEQS, MOST_CONTEXT, bounded, loading
from canteen.engines.llamacpp_server import LlamaServer
from canteen.engines.prompts import about

# A model puts marks of its own around a query and a text.
MARKS = 8


class LlamaCppReranker(BatchEmbedder):
    """The reranker of a GGUF file, which `folder` describes: a vector of one number a text."""

    name = "llamacpp-reranker"

    def __init__(
        self, folder: Path, *, model: str, num_threads: int = 0, num_gpu_layers: int = 0
    ) -> None:
        self._context_length = min(int(about(folder)["context_length"]), MOST_CONTEXT)
        self._server = LlamaServer(
            loading(Path(model), self._context_length, num_threads, num_gpu_layers, ranks=True)
        )

    def embed(
        self, request: EmbeddingRequest, before_step: Callable[[int], object] = lambda tokens: None
    ) -> Embeddings:
        """Rank; a text over the context raises ContextTooLong unless `truncate` cuts it."""
        assert request.query is not None
        room = self._context_length - len(self._server.encode(request.query)) - MARKS
        if room < 1:
            raise ContextTooLong(self._context_length - room, self._context_length)
        texts = [self._fitted(one, room, request.truncate) for one in request.inputs]
        vectors: list[tuple[float, ...]] = []
        for start in range(0, len(texts), MAX_NUM_SEQS):
            some = texts[start : start + MAX_NUM_SEQS]
            before_step(sum(num for _, num, _ in some))
            ranked = self._server.rank(request.query, [text for text, _, _ in some])
            vectors += [(one,) for one in ranked]
        usage = Usage(
            prompt_tokens=sum(num for _, num, _ in texts),
            truncated_tokens=sum(num_cut for *_, num_cut in texts),
        )
        return Embeddings(tuple(vectors), usage)

    def _fitted(
        self, text: str | tuple[int, ...], room: int, truncate: bool
    ) -> tuple[str, int, int]:
        """The text, how many tokens are read for it, with the query's, and how many were cut."""
        if not isinstance(text, str):
            raise InvalidRequest("a text to rank is text, not tokens", param="documents")
        tokens = self._server.encode(bounded(text, self._context_length, truncate))
        num_query = self._context_length - room
        if len(tokens) <= room:
            return text, num_query + len(tokens), 0
        if not truncate:
            raise ContextTooLong(num_query + len(tokens), self._context_length)
        return self._server.decode(tokens[:room]), self._context_length, len(tokens) - room
