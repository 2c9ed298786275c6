"""Models that are to be asked nothing, for fakes that answer one kind of request."""

from collections.abc import AsyncGenerator

from canteen.core.classifier import Classifier
from canteen.core.errors import ClassifierNotFound
from canteen.core.generation import (
    Chunk,
    EmbeddingRequest,
    Embeddings,
    GenerationRequest,
    ScoreRequest,
    Scores,
)


class Silent:
    """Implements Models; who expects an answer overrides what gives it."""

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]:
        raise AssertionError("nothing was to be written")

    async def score(self, request: ScoreRequest) -> Scores:
        raise AssertionError("nothing was to be scored")

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        raise AssertionError("nothing was to be embedded")

    async def context_length(self, model: str) -> int:
        return 8192

    def digest(self, model: str) -> str:
        return "sha256:0"

    def classifier(self, name: str) -> Classifier:
        raise ClassifierNotFound(name)
