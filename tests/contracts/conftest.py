"""The engines and embedders that the contracts are held against."""

from pathlib import Path

import pytest

from canteen.core.engine import BatchEmbedder, StepEngine
from canteen.engines.echo import EchoEmbedder, EchoEngine
from canteen.engines.llamacpp import LlamaCppEngine
from canteen.engines.openvino import OpenVinoEngine
from canteen.engines.openvino_embedder import OpenVinoEmbedder
from canteen.runtime.catalog import Catalog


@pytest.fixture(scope="session", params=["echo", "openvino", "llamacpp"])
def engine(request: pytest.FixtureRequest) -> StepEngine:
    """Every engine; the real ones with the default model."""
    if request.param == "echo":
        return EchoEngine(context_length=512)
    home: Path = request.getfixturevalue("model_home")
    catalog = Catalog(home)
    card = catalog.get("smollm2:135m")
    if request.param == "openvino":
        return OpenVinoEngine(catalog.path(card))
    return LlamaCppEngine(catalog.path(card), model=str(catalog.blob_path(card.digest)))


@pytest.fixture(scope="session", params=["echo-embedder", "openvino-embedder"])
def embedder(request: pytest.FixtureRequest) -> BatchEmbedder:
    """Every embedder; the real ones with the default model."""
    if request.param == "echo-embedder":
        return EchoEmbedder()
    home: Path = request.getfixturevalue("model_home")
    catalog = Catalog(home)
    return OpenVinoEmbedder(catalog.path(catalog.get("all-minilm")), num_threads=2)
