"""The real default models, loaded."""

from pathlib import Path

import pytest

from canteen.engines.openvino_embedder import OpenVinoEmbedder
from canteen.runtime.catalog import Catalog


@pytest.fixture(scope="session")
def embedder(model_home: Path) -> OpenVinoEmbedder:
    catalog = Catalog(model_home)
    return OpenVinoEmbedder(catalog.path(catalog.get("all-minilm")), num_threads=2)
