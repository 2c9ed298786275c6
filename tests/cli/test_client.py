"""`canteen.Client`: a running service as Python functions, and its errors as ours."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import canteen
from canteen.core import errors
from tests import serving
from tests.conftest import pull
from tests.serving import Server

LABELS = ["water", "food"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("client")
    home = pull(folder / "home", "echo")
    prompts = home / "prompts" / "greet"
    prompts.mkdir(parents=True)
    (prompts / "1.jinja").write_text("---\ninputs: {name: }\n---\nHello {{ name }}.")
    server = serving.start(home, folder / "serve.log", {"CANTEEN_MODEL": "echo"})
    yield server
    serving.end(server)


@pytest.fixture
def client(server: Server) -> Iterator[canteen.Client]:
    with canteen.Client(server.url) as client:
        yield client


@pytest.fixture
def says() -> Iterator[Any]:
    """A service that answers with one status and body, or is silent until the test is over."""
    told: dict[str, Any] = {}
    is_over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            if told["is_silent"]:
                is_over.wait()
                return
            body = json.dumps(told["body"]).encode()
            self.send_response(told["status"])
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as service:
        thread = threading.Thread(target=service.serve_forever, args=(0.01,))
        thread.start()

        def say(status: int, is_silent: bool = False, **body: Any) -> str:
            told.update(status=status, is_silent=is_silent, body=body)
            return f"http://127.0.0.1:{service.server_port}"

        yield say
        is_over.set()
        service.shutdown()
        thread.join()


def test_a_task_of_one_text_is_its_result(client: canteen.Client) -> None:
    done = client.classify("some food", LABELS, method="score")

    assert done["label"] == "food"
    assert set(done["probabilities"]) == set(LABELS)
    assert "usage" not in done
    assert client.receipt is not None
    assert client.receipt["prompt_version"].startswith("classify/")


def test_a_list_is_a_list_in_which_one_fails_by_itself(client: canteen.Client) -> None:
    first, second, third = client.classify(["some food", " ", "some water"], LABELS, method="score")

    assert (first["label"], third["label"]) == ("food", "water")
    assert isinstance(second, errors.InvalidRequest)
    assert "empty" in second.message


def test_a_file_is_a_document(client: canteen.Client, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<p>some food</p>")

    assert client.task("classify", page, labels=LABELS)["label"] == "food"


def test_a_file_that_cannot_be_read_is_named(client: canteen.Client, tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidRequest, match=r"missing\.txt cannot be read") as refused:
        client.summarize(tmp_path / "missing.txt")

    assert refused.value.param == "missing.txt"


def test_a_classifier_is_fitted_and_asked_by_its_name(client: canteen.Client) -> None:
    examples = [
        {"text": f"{n} times {label}", "label": label} for n in range(4) for label in LABELS
    ]

    made = client.fit("drinks", examples, method="score")
    told = client.classify("some food", classifier="drinks")

    assert made["labels"] == LABELS
    assert made["report"]["num_examples"] == 8
    assert told["label"] == "food"
    assert client.receipt is not None


def test_a_prompt_is_answered(client: canteen.Client) -> None:
    assert client.prompt("greet", name="Ann") == "Hello Ann."
    both = client.task("greet@1", [{"name": "Ann"}, "Bob"])
    assert [one["result"] for one in both] == ["Hello Ann.", "Hello Bob."]


def test_the_model_can_be_chosen(server: Server) -> None:
    with canteen.Client(server.url, model="nowhere") as client:
        with pytest.raises(errors.ModelNotFound, match="'nowhere:latest' not found"):
            client.prompt("greet", name="Ann")
        assert client.task("greet", "Ann", model="echo")["result"] == "Hello Ann."


def test_errors_are_those_of_the_service(client: canteen.Client) -> None:
    with pytest.raises(errors.PromptNotFound, match="near it: greet"):
        client.prompt("great", name="Ann")
    with pytest.raises(errors.InvalidRequest, match="input 'name' must be text") as refused:
        client.prompt("greet", name=7)
    assert (refused.value.code, refused.value.param) == ("invalid_request", "input.name")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (503, "overloaded", errors.Overloaded),
        (503, "model_loading", errors.Overloaded),
        (429, "rate_limit_exceeded", errors.RateLimited),
        (408, "deadline_exceeded", errors.DeadlineExceeded),
        (400, "context_length_exceeded", errors.ContextTooLong),
        (413, "body_too_large", errors.InvalidRequest),
        (500, "worker_died", errors.WorkerDied),
        (500, "internal_error", errors.EngineError),
    ],
)
def test_an_error_is_of_the_class_that_it_was_there(
    says: Any, status: int, code: str, kind: type[errors.CanteenError]
) -> None:
    url = says(status, code=code, detail="so it is", retry_after_ms=2500)

    with canteen.Client(url) as client, pytest.raises(kind, match="so it is") as raised:
        client.summarize("a")

    assert raised.value.code == code
    if isinstance(raised.value, errors.Overloaded):
        assert raised.value.retry_after_s == 2.5


def test_where_nothing_listens_it_is_said() -> None:
    with (
        canteen.Client("http://127.0.0.1:1") as client,
        pytest.raises(errors.EngineError, match="canteen serve"),
    ):
        client.rewrite("a")


@pytest.mark.parametrize("url", ["", "127.0.0.1:11434", "ftp://127.0.0.1", "http://"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(errors.InvalidRequest, match="no address"):
        canteen.Client(url)


def test_a_service_that_takes_too_long_is_left(says: Any) -> None:
    url = says(200, is_silent=True)

    with canteen.Client(url, timeout=0.05) as client, pytest.raises(errors.DeadlineExceeded):
        client.extract("a")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_proxy_is_never_used_for_this_machine(
    server: Server, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    with canteen.Client(f"http://{host}:{server.port}") as client:
        assert client.prompt("greet", name="Ann") == "Hello Ann."
