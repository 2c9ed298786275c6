"""Search indexes over HTTP: made, filled, searched, and refused with problems."""

from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Serve
from tests.serving import Server

ZOO = "# Zoo\n\nA zebra ran over the river."
FERRIES = "Ferries run every ten minutes until midnight."


def ask(server: Server, method: str, path: str, **body: Any) -> httpx.Response:
    given = body if method in ("PUT", "POST") else None
    url = f"{server.url}/v1/indexes{path}"
    return httpx.request(method, url, json=given, trust_env=False, timeout=60)


def put(server: Server, name: str, *documents: dict[str, Any], **options: Any) -> dict[str, Any]:
    options = {"embedder": "echo-embed", "documents": documents, **options}
    answer = ask(server, "POST", f"/{name}/documents", **options)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def file(data: bytes, **more: Any) -> dict[str, Any]:
    return {"data": b64encode(data).decode(), **more}


def test_an_index_is_made_told_and_removed(echo_server: Server) -> None:
    options = {"embedder": "echo-embed", "characters": 400, "overlap": 50, "language": "German"}
    made = ask(echo_server, "PUT", "/made", **options).json()
    again = ask(echo_server, "PUT", "/made", **options).json()

    assert made == again == ask(echo_server, "GET", "/made").json()
    assert made["embedder"] == "echo-embed:latest"
    assert (made["characters"], made["overlap"], made["language"]) == (400, 50, "German")
    assert made in ask(echo_server, "GET", "").json()["indexes"]
    assert ask(echo_server, "DELETE", "/made").json() == {"removed": "made"}
    gone = ask(echo_server, "GET", "/made")
    assert (gone.status_code, gone.json()["code"]) == (404, "index_not_found")


def test_a_damaged_index_is_listed_with_its_problem(echo_home: Path, serve: Serve) -> None:
    server = serve(echo_home)
    ask(server, "PUT", "/whole", embedder="echo-embed")
    bad = echo_home / "indexes" / "bad"
    bad.mkdir()
    bad.joinpath("index.json").write_text("{")

    listed = ask(server, "GET", "").json()["indexes"]

    assert [one["name"] for one in listed] == ["bad", "whole"]
    assert "damaged" in listed[0]["problem"]
    assert listed[1]["num_documents"] == 0
    assert ask(server, "GET", "/hole").status_code == 404


def test_documents_of_every_kind_go_in_and_each_fails_alone(echo_server: Server) -> None:
    told = put(
        echo_server,
        "kinds",
        {"text": FERRIES, "id": "a/ferries", "title": "Ferries", "metadata": {"year": 2020}},
        file(ZOO.encode(), name="zoo.md"),
        file(b"no text\0"),
        {"data": "no base64!", "name": "scan.pdf"},
        {"text": " "},
        {"text": "a", "data": "YQ=="},
        {"id": "neither"},
        file(b'{"text": "one"}\n{"text": "two", "id": "2"}', media_type="application/jsonl"),
        file(b'{"text": "one"}\n{"text": "two"}', media_type="application/jsonl", id="x"),
        {"text": "It has no id."},
    )

    assert (told["indexed"], told["unchanged"], told["failed"]) == (5, 0, 6)
    params = [one["error"]["param"] for one in told["results"] if one["status"] == "failed"]
    assert params == [
        "documents.2.data",
        "documents.3.data",
        "documents.4.text",
        "documents.5",
        "documents.6",
        "documents.8",
    ]
    assert [one["id"] for one in told["results"]][:4] == [
        "a/ferries",
        "zoo.md",
        "documents.2",
        "scan.pdf",
    ]
    assert told["usage"]["prompt_tokens"] > 0
    assert told["footprint"]["tokens"]["prompt"] == told["usage"]["prompt_tokens"]


def test_what_is_there_unchanged_costs_nothing(echo_server: Server) -> None:
    document = {"text": FERRIES, "id": "ferries"}
    put(echo_server, "again", document)

    told = put(echo_server, "again", document)

    assert told["results"] == [{"id": "ferries", "status": "unchanged", "passages": 0}]
    assert told["usage"]["prompt_tokens"] == 0
    assert "footprint" not in told


def test_documents_are_listed_page_by_page_and_taken_out(echo_server: Server) -> None:
    put(echo_server, "listed", *({"text": "x", "id": f"d/{one}"} for one in "abc"))

    def ids(query: str = "") -> Any:
        return ask(echo_server, "GET", f"/listed/documents{query}").json()["documents"]

    assert ids() == ["d/a", "d/b", "d/c"]
    assert ids("?limit=1&after=d/a") == ["d/b"]
    removed = ask(echo_server, "DELETE", "/listed/documents/d%2Fb")
    assert removed.json() == {"removed": "d/b"}
    assert ids() == ["d/a", "d/c"]
    gone = ask(echo_server, "DELETE", "/listed/documents/d/b")
    assert (gone.status_code, gone.json()["code"]) == (404, "document_not_found")
    assert ask(echo_server, "GET", "/listed/documents?limit=0").json()["param"] == "limit"


def test_a_search_tells_passages_snippets_and_what_it_took(echo_server: Server) -> None:
    text = {"text": FERRIES, "id": "ferries", "metadata": {"year": 2020}}
    put(echo_server, "found", text, file(ZOO.encode(), name="zoo.md", metadata={"year": 2024}))

    found = ask(echo_server, "POST", "/found/search", query="zebra", limit=1).json()

    (hit,) = found["hits"]
    assert (hit["document"], hit["title"], hit["headings"]) == ("zoo.md", "Zoo", ["Zoo"])
    assert ZOO[hit["snippet"]["start"] : hit["snippet"]["end"]] == hit["snippet"]["text"]
    assert hit["metadata"] == {"year": 2024}
    assert found["footprint"]["tokens"]["prompt"] == 1
    assert "answer" not in found
    kept = ask(echo_server, "POST", "/found/search", query="a", filter={"year": {"lt": 2022}})
    assert [one["document"] for one in kept.json()["hits"]] == ["ferries"]


def test_an_answer_is_cited_and_has_its_receipt(echo_server: Server) -> None:
    put(echo_server, "asked", {"text": FERRIES, "id": "ferries"})

    found = ask(echo_server, "POST", "/asked/search", query="when do ferries run", answer=True)

    told = found.json()
    assert told["model"] == "echo"
    assert told["answer"]["text"] == f"{FERRIES[:-1]} [1]."
    (cited,) = told["answer"]["citations"]
    assert FERRIES[cited["start"] : cited["end"]] == cited["quote"]
    assert told["footprint"]["prompt_version"] == "answer/1"


def test_an_empty_index_finds_and_answers_nothing(echo_server: Server) -> None:
    ask(echo_server, "PUT", "/empty", embedder="echo-embed")

    told = ask(echo_server, "POST", "/empty/search", query="x", answer=True).json()

    assert told["hits"] == []
    assert told["answer"] == {"text": "Nothing was found.", "by": "nobody", "citations": []}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "param"),
    [
        ("POST", "/absent/search", {"query": "x"}, 404, "index"),
        ("POST", "/bad/search", {"query": " "}, 400, "query"),
        ("POST", "/bad/search", {}, 400, "query"),
        ("POST", "/bad/search", {"query": "x", "limit": 1000}, 400, "limit"),
        ("POST", "/bad/search", {"query": "x", "mode": "fuzzy"}, 400, "mode"),
        ("POST", "/bad/search", {"query": "x", "filter": {"no": 1}}, 400, "filter.no"),
        ("POST", "/bad/search", {"query": "x", "filter": "a"}, 400, "filter"),
        ("POST", "/bad/search", {"query": "x", "answer": True, "model": "gone"}, 404, "model"),
        ("POST", "/bad/documents", {"documents": []}, 400, "documents"),
        ("POST", "/bad/documents", {}, 400, "documents"),
        ("POST", "/bad/documents", {"documents": [{"text": 1}]}, 400, "documents.0.text"),
        ("PUT", "/bad", {"characters": 500}, 409, None),
        ("PUT", "/bad2", {"characters": 5}, 400, "characters"),
        ("PUT", "/bad2", {"embedder": "echo"}, 400, "embedder"),
        ("PUT", "/bad2", {"embedder": "gone"}, 404, "model"),
        ("PUT", "/b%20d", {"embedder": "echo-embed"}, 400, "index"),
        ("GET", "/absent/documents", {}, 404, "index"),
        ("DELETE", "/absent", {}, 404, "index"),
    ],
)
def test_what_is_wrong_is_a_problem_that_names_the_field(
    echo_server: Server, method: str, path: str, body: Any, status: int, param: str | None
) -> None:
    put(echo_server, "bad", {"text": FERRIES, "id": "ferries"})

    answer = ask(echo_server, method, path, **body)

    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json().get("param") == param
