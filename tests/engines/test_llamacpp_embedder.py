"""GGUF models that read only: the default embedder written as one, and one that ranks."""

from pathlib import Path

import pytest
from gguf import PoolingType

from canteen.core.errors import ContextTooLong
from canteen.core.generation import EmbeddingRequest
from canteen.engines.llamacpp_embedder import LlamaCppEmbedder
from canteen.engines.llamacpp_reranker import LlamaCppReranker
from canteen.engines.openvino_embedder import OpenVinoEmbedder
from canteen.lifecycle import llamacpp_model
from canteen.lifecycle.gguf_source import GgufSource
from canteen.runtime.catalog import Catalog
from tests.engines import bert_gguf

TEXTS = ("the cat sat on the mat", "Interest rates rose again; nobody was surprised!", "é")


def prepared(home: Path, folder: Path, pooling: PoolingType = PoolingType.MEAN) -> Path:
    """The default embedder's weights as a GGUF, described in the folder that it is in."""
    catalog = Catalog(home)
    source = catalog.blob_path(catalog.get("all-minilm").digest)
    path = bert_gguf.write(source, folder / "model.gguf", pooling)
    kind = llamacpp_model.from_gguf(GgufSource(path), folder).kind
    assert kind == ("reranker" if pooling == PoolingType.RANK else "embedder")
    return path


def test_its_vectors_are_those_of_the_other_engine(
    model_home: Path, embedder: OpenVinoEmbedder, tmp_path: Path
) -> None:
    path = prepared(model_home, tmp_path)
    request = EmbeddingRequest("r", "any", TEXTS)

    ours = LlamaCppEmbedder(tmp_path, model=str(path)).embed(request)

    theirs = embedder.embed(request)
    assert ours.usage.prompt_tokens == theirs.usage.prompt_tokens
    for one, other in zip(ours.vectors, theirs.vectors, strict=True):
        assert sum(a * b for a, b in zip(one, other, strict=True)) > 0.995


def test_a_reranker_gives_each_text_a_number_that_depends_on_the_query(
    model_home: Path, tmp_path: Path
) -> None:
    path = prepared(model_home, tmp_path, PoolingType.RANK)
    reranker = LlamaCppReranker(tmp_path, model=str(path))

    def logits(query: str, *texts: str) -> list[float]:
        request = EmbeddingRequest("r", "any", texts, query=query)
        return [logit for (logit,) in reranker.embed(request).vectors]

    together = logits("pets", *TEXTS)
    assert together == pytest.approx([logits("pets", text)[0] for text in TEXTS], abs=0.05)
    assert together != pytest.approx(logits("money", *TEXTS), abs=0.05)
    with pytest.raises(ContextTooLong):
        logits("pets", "word " * 600)
    cut = EmbeddingRequest("r", "any", ("word " * 600,), truncate=True, query="pets")
    assert reranker.embed(cut).usage.truncated_tokens > 0
