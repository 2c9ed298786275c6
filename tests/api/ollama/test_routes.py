"""The dialect over a socket, as its bytes are."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from canteen.runtime.catalog import Catalog
from tests.cards import card
from tests.conftest import Serve
from tests.serving import Server

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
HELLO = [{"role": "user", "content": "Grüße 😀 to you"}]
CHAT = {"model": "echo", "messages": HELLO}
SAID = "Grüße 😀 to you"


@pytest.fixture
def http(echo_server: Server) -> Iterator[httpx.Client]:
    """A client of a server that is only asked."""
    with httpx.Client(base_url=echo_server.url, timeout=30) as client:
        yield client


@pytest.fixture
def own(serve: Serve, echo_home: Path) -> Iterator[httpx.Client]:
    """A client of a server whose store may be changed."""
    with httpx.Client(base_url=serve(echo_home).url, timeout=30) as client:
        yield client


def lines(reply: httpx.Response) -> list[dict[str, Any]]:
    """The objects of a stream: one a line, nothing between."""
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/x-ndjson"
    assert reply.text.endswith("\n")
    return [json.loads(line) for line in reply.text[:-1].split("\n")]


def error_of(reply: httpx.Response) -> str:
    assert isinstance(reply.json()["error"], str)
    return str(reply.json()["error"])


@pytest.mark.parametrize("path", ["/", "/api/version", "/api/tags", "/api/ps", "/api/status"])
def test_what_can_be_got_can_be_looked_for(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code == 200
    assert http.head(path).status_code == 200
    assert http.head(path).content == b""


def test_the_root_says_what_clients_look_for(http: httpx.Client) -> None:
    assert http.get("/").text == "Ollama is running"


def test_a_chat_streams_unless_told_otherwise(http: httpx.Client) -> None:
    *pieces, last = lines(http.post("/api/chat", json=CHAT))

    assert "".join(piece["message"]["content"] for piece in pieces) == SAID
    assert all(line["message"]["role"] == "assistant" for line in (*pieces, last))
    assert all(INSTANT.fullmatch(line["created_at"]) for line in (*pieces, last))
    assert not any(piece["done"] for piece in pieces)
    assert last["done"]
    assert last["done_reason"] == "stop"
    assert last["eval_count"] == 4


def test_a_whole_chat_is_one_line_of_json(http: httpx.Client) -> None:
    reply = http.post("/api/chat/", json=CHAT | {"stream": False})

    assert reply.headers["content-type"] == "application/json"
    assert "\n" not in reply.text
    assert reply.json()["message"] == {"role": "assistant", "content": SAID}


def test_a_body_needs_no_content_type(http: httpx.Client) -> None:
    reply = http.post("/api/embed", content=b'{"model":"echo-embed","input":["a","b"]}')

    assert reply.status_code == 200
    assert len(reply.json()["embeddings"]) == 2


def test_nothing_to_embed_is_no_vectors(http: httpx.Client) -> None:
    assert http.post("/api/embed", json={"model": "echo-embed"}).json()["embeddings"] == []
    assert http.post("/api/embeddings", json={"model": "echo-embed"}).json() == {"embedding": []}


def test_the_last_line_counts_what_was_cut_on_request(http: httpx.Client) -> None:
    body = {"model": "echo", "prompt": "a " * 40, "options": {"num_ctx": 16}}

    refused = http.post("/api/generate", json=body)
    *_, last = lines(http.post("/api/generate", json=body | {"truncate": True}))
    whole = http.post("/api/generate", json=body | {"truncate": True, "stream": False})

    assert refused.status_code == 400
    assert refused.json()["n_ctx"] == 16
    assert refused.json()["prompt_tokens"] == 41
    assert last["truncated_tokens"] == whole.json()["truncated_tokens"] == 26
    assert whole.headers["x-truncated-tokens"] == "26"


def test_no_prompt_loads_and_keep_alive_zero_unloads(own: httpx.Client) -> None:
    loaded = own.post("/api/generate", json={"model": "echo", "keep_alive": -1}).json()
    seen = own.get("/api/ps").json()
    unloaded = own.post("/api/chat", json={"model": "echo", "keep_alive": "0s"}).json()
    gone = own.get("/api/ps").json()

    assert (loaded["response"], loaded["done_reason"]) == ("", "load")
    assert [model["name"] for model in seen["models"]] == ["echo:latest"]
    assert seen["models"][0]["expires_at"].startswith("9999")
    assert seen["states"]["echo:latest"]["state"] == "ready"
    assert (unloaded["message"]["content"], unloaded["done_reason"]) == ("", "unload")
    assert gone["models"] == []
    assert gone["states"]["echo:latest"]["why"] == "unloaded: on command"


def test_a_busy_model_is_unloaded_after_its_answers(own: httpx.Client) -> None:
    slow = {"model": "slow", "from": "echo", "parameters": {"tokens_per_s": 20}, "stream": False}
    own.post("/api/create", json=slow)
    body = {"model": "slow", "prompt": "one two three four five six seven eight"}

    with own.stream("POST", "/api/generate", json=body) as reply:
        coming = reply.iter_lines()
        first = json.loads(next(coming))
        own.post("/api/generate", json={"model": "slow", "keep_alive": 0})
        *_, last = [json.loads(line) for line in coming]

    assert body["prompt"].startswith(first["response"])
    assert last["done_reason"] == "stop"
    assert last["eval_count"] == 8


def test_a_blob_is_stored_once_its_digest_is_right(own: httpx.Client) -> None:
    data = b"x" * 3_000_000
    path = f"/api/blobs/sha256:{hashlib.sha256(data).hexdigest()}"
    other = f"/api/blobs/sha256:{hashlib.sha256(b'y').hexdigest()}"

    before = own.head(path).status_code
    wrong = own.post(other, content=data)
    sent = own.post(path, content=iter([data[:1000], data[1000:]])).status_code
    again = own.post(path, content=data).status_code

    assert (before, sent, again) == (404, 201, 200)
    assert own.head(path).status_code == 200
    assert wrong.status_code == 400
    assert own.head(other).status_code == 404
    assert own.post("/api/blobs/nothing", content=data).status_code == 400


def test_a_file_that_is_no_model_leaves_no_model(own: httpx.Client) -> None:
    data = b"GGUF and nothing behind it"
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    own.post(f"/api/blobs/{digest}", content=data)

    reply = own.post("/api/create", json={"model": "mine", "files": {"m.gguf": digest}})

    assert lines(reply)[-1].keys() == {"error"}
    assert own.post("/api/show", json={"model": "mine"}).status_code == 404


def test_a_model_of_the_menu_is_pulled_for_a_create(own: httpx.Client) -> None:
    own.request("DELETE", "/api/delete", json={"name": "echo-embed"})

    steps = lines(own.post("/api/create", json={"model": "n", "from": "echo-embed"}))

    assert [step["status"] for step in steps] == [
        "pulling manifest",
        "writing manifest",
        "success",
    ]
    details = own.post("/api/show", json={"model": "n"}).json()["details"]
    assert details["parent_model"] == "echo-embed:latest"


def test_what_is_kept_of_a_name_that_is_given_away_is_a_line_of_a_create(
    own: httpx.Client, echo_home: Path
) -> None:
    catalog = Catalog(echo_home)
    mine = card(name="mine:latest", folder="", source="job:job_1")
    catalog.put(mine)

    *_, told, _ = lines(own.post("/api/create", json={"model": "mine", "from": "echo"}))

    said, _, kept_as = told["status"].rpartition(" ")
    assert said == "what this replaces was made here, and is kept as"
    assert catalog.get(kept_as).digest == mine.digest


def test_a_deleted_model_is_out_of_memory_too(own: httpx.Client) -> None:
    own.post("/api/generate", json={"model": "echo", "prompt": "hello"})

    reply = own.request("DELETE", "/api/delete", json={"model": "echo"})

    assert (reply.status_code, reply.content) == (200, b"")
    assert own.get("/api/ps").json()["models"] == []
    again = own.request("DELETE", "/api/delete", json={"model": "echo"})
    assert again.status_code == 404
    assert error_of(again) == "model 'echo' not found"


def test_a_damaged_model_can_be_deleted(own: httpx.Client, echo_home: Path) -> None:
    (manifest,) = (echo_home / "models" / "manifests" / "echo").glob("*.json")
    manifest.write_text("{")

    assert own.request("DELETE", "/api/delete", json={"model": "echo"}).status_code == 200
    assert not manifest.exists()


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"model": "none", "prompt": "a"}, 404, "model 'none' not found"),
        ({"prompt": "a"}, 400, "model"),
        ({"model": "echo-embed", "prompt": "a"}, 400, "not one that generates"),
        ({"model": "echo", "prompt": 5}, 400, "prompt"),
        ({"model": "echo", "prompt": "a", "options": {"temperature": -1}}, 400, "temperature"),
        ({"model": "echo", "prompt": "a", "options": {"num_predict": 1e308}}, 400, "num_predict"),
        ({"model": "echo", "prompt": "a", "options": 7}, 400, "options"),
        ({"model": "echo", "prompt": "a", "keep_alive": "soon"}, 400, "keep_alive"),
        ({"model": "echo", "prompt": "a", "format": "xml"}, 400, "format"),
        ({"model": "echo", "prompt": "a", "think": True}, 400, "does not support thinking"),
        ({"model": "../../etc", "prompt": "a"}, 400, "name"),
    ],
)
def test_a_bad_request_is_refused_in_a_string(
    http: httpx.Client, body: dict[str, Any], status: int, word: str
) -> None:
    reply = http.post("/api/generate", json=body)

    assert reply.status_code == status
    assert word in error_of(reply)


@pytest.mark.parametrize("path", ["/api/me", "/api/signout", "/api/experimental/search"])
def test_what_only_a_cloud_has_is_not_found(http: httpx.Client, path: str) -> None:
    reply = http.post(path, json={})

    assert reply.status_code == 404
    assert error_of(reply)


def test_another_method_is_refused_with_those_there_are(http: httpx.Client) -> None:
    reply = http.get("/api/generate")

    assert reply.status_code == 405
    assert reply.headers["allow"] == "POST"
    assert error_of(reply)


def test_a_full_queue_is_told_in_ollamas_words(serve: Serve, echo_home: Path) -> None:
    server = serve(echo_home, CANTEEN_MAX_NUM_SEQS="1", CANTEEN_MAX_QUEUE="0")
    slow = {"model": "slow", "from": "echo", "parameters": {"tokens_per_s": 20}, "stream": False}
    # It goes on until nobody listens any more.
    body = {"model": "slow", "prompt": "one two", "options": {"num_predict": 4000}}

    with httpx.Client(base_url=server.url, timeout=30) as client:
        client.post("/api/create", json=slow)
        with client.stream("POST", "/api/generate", json=body) as reply:
            coming = reply.iter_lines()
            next(coming)
            refused = client.post("/api/generate", json=body)

    assert refused.status_code == 503
    assert "server busy" in error_of(refused)
    assert "maximum pending requests exceeded" in error_of(refused)
    assert int(refused.headers["retry-after"]) >= 1
