"""`/v1/rerank`: by an embedding model or a language model, which the answer says."""

from typing import Any

import httpx
import pytest

from tests.serving import Server

DOCUMENTS = ["bread and butter", {"text": "a zebra"}, "a zebra ran"]


def ask(server: Server, path: str = "/v1/rerank", **body: Any) -> httpx.Response:
    return httpx.post(server.url + path, json=body, trust_env=False, timeout=60)


@pytest.mark.parametrize("path", ["/v1/rerank", "/rerank", "/api/rerank"])
def test_texts_are_ranked_by_their_embeddings(echo_server: Server, path: str) -> None:
    answer = ask(echo_server, path, model="echo-embed", query="a zebra", documents=DOCUMENTS)

    told = answer.json()
    assert [one["index"] for one in told["results"]] == [1, 2, 0]
    assert told["results"][0]["relevance_score"] == pytest.approx(1.0)
    assert all("document" not in one for one in told["results"])
    assert told["meta"] == {"method": "embedding"}
    assert told["usage"]["total_tokens"] == told["footprint"]["tokens"]["prompt"] == 10


def test_only_the_best_are_told_with_their_texts(echo_server: Server) -> None:
    asked: Any = {"query": "a zebra", "documents": DOCUMENTS, "top_n": 1, "return_documents": True}

    told = ask(echo_server, model="echo-embed", **asked).json()

    (best,) = told["results"]
    assert best["document"] == {"text": "a zebra"}


def test_a_language_model_ranks_too_and_says_so(echo_server: Server) -> None:
    told = ask(echo_server, model="echo", query="a zebra", documents=DOCUMENTS).json()

    assert len(told["results"]) == 3
    assert told["meta"] == {"method": "language_model"}
    assert told["footprint"]["prompt_version"] == "rerank/1"


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"model": "absent"}, 404, "model"),
        ({"model": None}, 400, "model"),
        ({"query": " "}, 400, "query"),
        ({"documents": []}, 400, "documents"),
        ({"documents": ["a", 1]}, 400, "documents.1"),
        ({"documents": ["a", ""]}, 400, "documents.1"),
        ({"top_n": 0}, 400, "top_n"),
    ],
)
def test_what_is_wrong_is_a_problem(
    echo_server: Server, body: dict[str, Any], status: int, param: str
) -> None:
    usual = {"model": "echo-embed", "query": "a", "documents": ["b"]}

    answer = ask(echo_server, **usual | body)

    assert (answer.status_code, answer.json()["param"]) == (status, param)


def test_real_models_put_the_answer_first(model_server: Server) -> None:
    texts = [
        "The kitten slept on the sofa all afternoon.",
        "Paris is the capital and largest city of France.",
        "Waves broke over the harbour wall during the storm.",
    ]
    asked: Any = {"query": "What is the capital of France?", "documents": texts}

    for model in ("all-minilm", "smollm2:135m"):
        results = ask(model_server, model=model, **asked).json()["results"]
        assert sorted(one["index"] for one in results) == [0, 1, 2]
        assert all(0 <= one["relevance_score"] <= 1 for one in results)
        assert results[0]["index"] == 1, model
