"""GGUF models that OpenVINO does not run, from the file to the receipt."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from gguf import PoolingType

from canteen.runtime.catalog import Catalog
from tests.conftest import Serve, pull
from tests.engines import bert_gguf
from tests.lifecycle.tiny_model import CHATML, TinyModel
from tests.serving import Server

ASK = {"messages": [{"role": "user", "content": "hello"}], "temperature": 0}


@pytest.fixture
def server(serve: Serve, tmp_path: Path) -> Server:
    """A server of a Gemma of two layers, as `gemma`, with everything left to itself."""
    model = TinyModel("gemma", template=CHATML, context_length=4096)
    path = model.write(tmp_path / "gemma.gguf")
    return serve(pull(tmp_path / "home", "echo", f"file:{path}"))


def asked(server: Server, **more: Any) -> Any:
    body = {"model": "gemma", **ASK, **more}
    return httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60).json()


def test_a_stream_comes_from_llamacpp_and_its_receipt_says_so(server: Server) -> None:
    body = {"model": "gemma", **ASK, "max_tokens": 6, "stream": True}
    body["stream_options"] = {"include_usage": True}

    answer = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60)

    *_, last, done = [line for line in answer.text.splitlines() if line]
    assert done == "data: [DONE]"
    footprint = json.loads(last.removeprefix("data: "))["footprint"]
    assert footprint["engine"] == "llamacpp"
    assert footprint["tokens"]["completion"] == 6
    assert footprint["energy_uj"]["prefill"] > 0


def test_json_that_is_answered_satisfies_its_schema(server: Server) -> None:
    schema = {
        "type": "object",
        "properties": {"ship": {"enum": ["brig", "bark"]}},
        "required": ["ship"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "ship", "schema": schema}}

    told = asked(server, response_format=form, max_tokens=60)

    assert json.loads(told["choices"][0]["message"]["content"])["ship"] in ("brig", "bark")


def test_a_reranker_is_pulled_and_ranks(serve: Serve, model_home: Path, tmp_path: Path) -> None:
    catalog = Catalog(model_home)
    source = catalog.blob_path(catalog.get("all-minilm").digest)
    path = bert_gguf.write(source, tmp_path / "ranker.gguf", PoolingType.RANK)
    server = serve(pull(tmp_path / "home", "echo", f"file:{path}"))
    body = {"model": "ranker", "query": "pets", "documents": ["a cat", "interest rates"]}

    told = httpx.post(f"{server.url}/v1/rerank", json=body, timeout=60).json()

    assert told["meta"] == {"method": "reranker"}
    assert told["footprint"]["engine"] == "llamacpp-reranker"
    assert sorted(one["index"] for one in told["results"]) == [0, 1]
    assert all(0 < one["relevance_score"] < 1 for one in told["results"])
