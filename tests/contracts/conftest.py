"""The engines and embedders that the contracts are held against."""

from pathlib import Path

import pytest

from canteen.core.engine import BatchEmbedder, StepEngine
from canteen.engines.echo import EchoEmbedder, EchoEngine
from canteen.engines.llamacpp import LlamaCppEngine
from canteen.engines.llamacpp_embedder import LlamaCppEmbedder
from canteen.engines.openvino import OpenVinoEngine
from canteen.engines.openvino_embedder import OpenVinoEmbedder
from canteen.runtime.catalog import Catalog
from tests.engines.llamacpp_models import llamacpp_engine
from tests.engines.test_llamacpp_embedder import prepared
from tests.lifecycle.tiny_model import CHATML, TinyModel

ENGINES = ["echo", "openvino", "llamacpp", pytest.param("llamacpp default", marks=pytest.mark.slow)]


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> StepEngine:
    """Every engine; the real ones with the default model, and llama.cpp with another that OpenVINO
    does not run too."""
    if request.param == "echo":
        return EchoEngine(context_length=512)
    if request.param == "llamacpp":
        return llamacpp_engine(
            tmp_path_factory.mktemp("gemma"),
            TinyModel("gemma", template=CHATML, context_length=4096),
        )
    home: Path = request.getfixturevalue("model_home")
    catalog = Catalog(home)
    card = catalog.get("smollm2:135m")
    if request.param == "openvino":
        return OpenVinoEngine(catalog.path(card))
    return LlamaCppEngine(catalog.path(card), model=str(catalog.blob_path(card.digest)))


@pytest.fixture(scope="session", params=["echo-embedder", "openvino-embedder", "llamacpp-embedder"])
def embedder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> BatchEmbedder:
    """Every embedder; the real ones with the default model."""
    if request.param == "echo-embedder":
        return EchoEmbedder()
    home: Path = request.getfixturevalue("model_home")
    if request.param == "llamacpp-embedder":
        folder = tmp_path_factory.mktemp("bert")
        return LlamaCppEmbedder(folder, model=str(prepared(home, folder)))
    catalog = Catalog(home)
    return OpenVinoEmbedder(catalog.path(catalog.get("all-minilm")), num_threads=2)
