"""A running Canteen from Python: `canteen.Client("http://127.0.0.1:11434").summarize(text)`."""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import httpx

from canteen.core import errors
from canteen.core.addresses import is_loopback
from canteen.core.errors import (
    CanteenError,
    DeadlineExceeded,
    EngineError,
    InvalidRequest,
    Overloaded,
    RateLimited,
    Unauthorized,
)

URL = "http://127.0.0.1:11434"
# A model may have to be loaded before it answers.
ANSWER_WITHIN_S = 300.0
# What an answer tells beside its result.
_AROUND = ("id", "task", "model", "prompt_version", "usage", "footprint")
_BY_CODE: dict[str, type[CanteenError]] = {
    one.code: one
    for one in vars(errors).values()
    if isinstance(one, type) and issubclass(one, CanteenError)
}
# By the whole status, or by its first digit.
_BY_STATUS: dict[int, type[CanteenError]] = {
    4: InvalidRequest, 401: Unauthorized, 408: DeadlineExceeded, 429: RateLimited, 503: Overloaded,
}  # fmt: skip

# A text, a document's file, or the inputs of a prompt of one's own.
Item = str | Path | Mapping[str, Any]
Items = Item | Sequence[Item]


class Client:
    """The tasks of a service by name, as `canteen.LLM` has them; also a context manager.

    Each takes one item, for its result, or a list of them, for a list in their order, in which
    an item that failed has its error. What fails as a whole raises it: InvalidRequest,
    Overloaded (with `retry_after_s`), DeadlineExceeded or EngineError. `receipt` tells what the
    last answer ate and drank. `api_key` is for a service that asks for one. Proxies of the
    environment are not used for this machine.
    """

    def __init__(
        self,
        url: str = URL,
        *,
        model: str | None = None,
        timeout: float = ANSWER_WITHIN_S,
        api_key: str = "",
    ) -> None:
        self.model = model
        self.receipt: dict[str, Any] | None = None
        is_here = is_loopback(_checked(url).host)
        shown = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.Client(
            base_url=url, timeout=timeout, headers=shown, trust_env=not is_here
        )

    def classify(self, text: Items, labels: Sequence[str] = (), **options: Any) -> Any:
        """Which of the labels a text bears, with a probability for each."""
        return self.task("classify", text, labels=list(labels), **options)

    def fit(self, name: str, examples: Iterable[Mapping[str, str]], **options: Any) -> Any:
        """Fit a classifier to examples, each with `text` and `label`, for
        `classify(text, classifier=name)`; gives its labels, and a report of examples held back."""
        body = self._terms() | options | {"examples": list(examples)}
        made = self._sent("PUT", f"/v1/classifiers/{quote(name, safe='')}", body)
        return {key: value for key, value in made.items() if key != "footprint"}

    def summarize(self, text: Items, **options: Any) -> Any:
        """What a text or document says, in few sentences."""
        return self.task("summarize", text, **options)

    def rewrite(self, text: Items, **options: Any) -> Any:
        """A text in other words."""
        return self.task("rewrite", text, **options)

    def extract(self, text: Items, **options: Any) -> Any:
        """Entities and fields that a text has."""
        return self.task("extract", text, **options)

    def decide(self, state: Any, questions: Mapping[str, Mapping[str, Any]]) -> Any:
        """Answers, by name, to System One's questions about a state."""
        body = self._terms() | {"state": state, "questions": questions}
        return self._posted("/v1/systemone", body)["answers"]

    def prompt(self, name: str, /, **inputs: Any) -> Any:
        """The answer to a stored prompt: text, or an object where it declares an output."""
        return self.task(name, inputs)["result"]

    def task(self, name: str, items: Items, **options: Any) -> Any:
        """The result of a task for one item, or those for a list."""
        if isinstance(items, str | Path | Mapping):
            answer = self._asked(name, options | {"input": _json(items)})
            return {key: value for key, value in answer.items() if key not in _AROUND}
        answer = self._asked(name, options | {"inputs": [_json(one) for one in items]})
        return [_outcome(one) for one in answer["results"]]

    def index(self, name: str, documents: Sequence[Item], **options: Any) -> list[Any]:
        """What became of each document that is put into a search index, in order: texts, files,
        or objects with `text` and perhaps id, title and metadata."""
        given = [{"text": one} if isinstance(one, str) else _json(one) for one in documents]
        path = f"/v1/indexes/{quote(name, safe='')}/documents"
        return list(self._posted(path, options | {"documents": given})["results"])

    def search(self, name: str, query: str, **options: Any) -> Any:
        """The passages of an index that say most about a query, in `hits`, and with
        `answer=True` an answer from them."""
        path = f"/v1/indexes/{quote(name, safe='')}/search"
        answer = self._posted(path, self._terms() | options | {"query": query})
        return {key: answer[key] for key in ("hits", "answer") if key in answer}

    def rerank(self, model: str, query: str, documents: Sequence[str], **options: Any) -> list[Any]:
        """The places of texts by how well they answer a query, best first, with their scores."""
        body = {"model": model, "query": query, "documents": list(documents)}
        return list(self._posted("/v1/rerank", options | body)["results"])

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def _asked(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._posted(f"/v1/tasks/{quote(name, safe='@')}", self._terms() | body)

    def _terms(self) -> dict[str, Any]:
        return {"model": self.model} if self.model else {}

    def _posted(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._sent("POST", path, body)

    def _sent(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = self._http.request(method, path, json=body)
            told = answer.json()
        except httpx.TimeoutException as exc:
            raise DeadlineExceeded("the service did not answer in time") from exc
        except (httpx.HTTPError, ValueError) as exc:
            raise EngineError(
                f"no Canteen answers at {self._http.base_url}; start one with `canteen serve`"
            ) from exc
        if answer.is_error:
            raise _error(told, answer.status_code)
        self.receipt = told.get("footprint")
        return dict(told)


def _json(item: Any) -> Any:
    if not isinstance(item, Path):
        return item
    try:
        data = item.read_bytes()
    except OSError as exc:
        raise InvalidRequest(f"{item} cannot be read: {exc.strerror}", param=item.name) from exc
    return {"data": b64encode(data).decode(), "name": item.name}


def _said(problem: Mapping[str, Any], status: int) -> str:
    """Its words, in our own routes' shape or in OpenAI's."""
    return str(problem.get("detail") or problem.get("message") or f"status {status}")


def _outcome(told: dict[str, Any]) -> Any:
    return _error(told["error"], told["error"]["status"]) if "error" in told else told


def _error(problem: Mapping[str, Any], status: int) -> CanteenError:
    """The error that was raised there: of the class of its code, else of its status."""
    problem = problem.get("error", problem)
    code = str(problem.get("code", ""))
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status)
    kind = kind or _BY_STATUS.get(status // 100, EngineError)
    # Classes make their messages themselves; this one is made already.
    error = kind.__new__(kind)
    CanteenError.__init__(error, _said(problem, status), code=code)
    if isinstance(error, InvalidRequest):
        error.param = problem.get("param")
    if isinstance(error, Overloaded):
        error.retry_after_s = problem.get("retry_after_ms", 1000) / 1000
    return error


def _checked(url: str) -> httpx.URL:
    parts = httpx.URL(url)
    if parts.scheme not in ("http", "https") or not parts.host:
        raise InvalidRequest(f"'{url}' is no address, as {URL} is", param="url")
    return parts
