"""Where keys are asked for, nothing but probes is answered without one, nor beyond its scopes."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route as Mounted

from canteen.api.app import App
from canteen.api.auth import open_paths
from canteen.api.dialects import DIALECTS, SERVED
from canteen.api.routing import Dialect, Route
from canteen.core.access import SCOPES
from tests.api.keyed import CHAT, Keyed, keyed

OPEN = open_paths(SERVED)
SHAPES = {
    "openai": {"error"},
    "anthropic": {"type", "error", "code", "param"},
    "ollama": {"error"},
    "native": {"type", "title", "status", "detail", "code", "param"},
}


@pytest.fixture
async def service(echo_home: Path) -> AsyncIterator[Keyed]:
    async with keyed(echo_home) as made:
        yield made


def mounted(app: App) -> list[tuple[str, str]]:
    """Every method and path that is registered, whoever did it."""
    return [
        (method, route.path)
        for route in app.paths.routes
        if isinstance(route, Mounted)
        for method in sorted(route.methods or ())
    ]


def rows() -> Iterator[tuple[Dialect, str, Route]]:
    """Every row that needs a key, at its first place."""
    for dialect in DIALECTS:
        for route in dialect.routes:
            if route.scope != "open":
                yield dialect, dialect.prefixes[0] + route.path, route


def filled(path: str) -> str:
    """A path with something in its places."""
    for name in ("name", "id", "digest", "model:path", "id:path"):
        path = path.replace(f"{{{name}}}", "x")
    return path


async def test_every_route_is_401_without_a_key_but_probes_and_the_console(service: Keyed) -> None:
    async with service.client() as nobody:
        for method, path in mounted(service.app):
            answer = await nobody.request(method, filled(path), content=b"{")

            assert (answer.status_code == 401) == (path not in OPEN), f"{method} {path}"
            if path not in OPEN:
                assert answer.headers["www-authenticate"] == 'Bearer realm="canteen"'
                assert answer.headers["x-should-retry"] == "false"


async def test_a_401_has_the_shape_of_its_dialect(service: Keyed) -> None:
    async with service.client() as nobody:
        for dialect, path, route in rows():
            answer = await nobody.request(route.method, filled(path))

            if route.method != "HEAD":
                assert set(answer.json()) <= SHAPES[dialect.name], path
                assert isinstance(answer.json().get("error"), str) == (dialect.name == "ollama")


async def test_every_route_is_403_without_its_scope_and_open_with_it(service: Keyed) -> None:
    others = {
        scope: await service.shown(*(one for one in SCOPES if one != scope)) for scope in SCOPES
    }
    owners = {scope: await service.shown(scope) for scope in SCOPES}
    # What would be told without end is over at once.
    service.services.is_draining = True

    for _, path, route in rows():
        if route.scope == "key":
            continue
        assert route.scope in SCOPES
        method, url = route.method, filled(path)
        refused = await others[route.scope].request(method, url, content=b"{")
        let_in = await owners[route.scope].request(method, url, content=b"{")

        assert refused.status_code == 403, path
        assert f'scope="{route.scope}"' in refused.headers["www-authenticate"]
        assert let_in.status_code not in (401, 403), path


async def test_what_is_not_there_is_told_to_nobody_without_a_key(service: Keyed) -> None:
    async with service.client() as nobody, await service.shown("llm:chat") as somebody:
        assert (await nobody.get("/v1/nowhere")).status_code == 401
        assert (await nobody.get("/openapi.json")).status_code == 401
        assert (await somebody.get("/v1/nowhere")).status_code == 404
        assert (await somebody.get("/openapi.json")).status_code == 200


async def test_a_key_is_shown_in_any_of_three_headers(service: Keyed) -> None:
    key, secret = await service.key("llm:chat")
    ways = [("authorization", f"Bearer {secret}"), ("authorization", f"bearer {secret}")]

    async with service.client() as caller:
        for header, value in [*ways, ("api-key", secret), ("x-api-key", secret)]:
            answer = await caller.post("/v1/chat/completions", json=CHAT, headers={header: value})

            assert answer.status_code == 200
            assert service.logged()[-1]["caller"] == key.id
    assert secret.encode() not in b"".join(service.lines)


async def test_a_key_that_nobody_gave_is_refused(service: Keyed) -> None:
    key, secret = await service.key("llm:chat")

    async with service.client() as caller:
        for bad in ("canteen_no-such-key", "sk-something", "a.b.c", "\xff", f"{secret}x", key.id):
            headers = {b"authorization": f"Bearer {bad}".encode("latin-1")}
            answer = await caller.post("/v1/chat/completions", json=CHAT, headers=headers)

            assert answer.status_code == 401
            assert 'error="invalid_token"' in answer.headers["www-authenticate"]
            assert answer.json()["error"]["type"] == "authentication_error"


async def test_the_sums_by_key_are_those_of_its_id(service: Keyed) -> None:
    key, secret = await service.key("llm:chat", "llm:footprint")
    headers = {"x-api-key": secret}

    async with service.client(**headers) as caller:
        await caller.post("/v1/chat/completions", json=CHAT)
        told = (await caller.get("/v1/footprint", params={"by": "key"})).json()

    assert key.id in [one["key"] for one in told["sums"]]


async def test_a_foreign_model_is_refused_whatever_it_is_asked(service: Keyed) -> None:
    asked: list[tuple[str, dict[str, Any]]] = [
        ("/v1/chat/completions", CHAT),
        ("/v1/embeddings", {"model": "echo-embed", "input": "text"}),
        ("/v1/tasks/summarize", {"model": "echo", "input": "A text. And another."}),
        ("/v1/rerank", {"model": "echo", "query": "a", "documents": ["b"]}),
        ("/v1/messages", {**CHAT, "max_tokens": 5}),
        ("/api/generate", {"model": "echo", "prompt": "text"}),
        ("/api/generate", {"model": "echo"}),
        ("/api/generate", {"model": "echo", "keep_alive": 0}),
    ]

    async with await service.shown(models=("other", "smollm2:*")) as caller:
        for path, body in asked:
            answer = await caller.post(path, json=body)

            assert answer.status_code == 403, path
            assert "may not ask 'echo" in answer.text


async def test_an_allowed_model_answers_by_its_name_or_a_pattern(service: Keyed) -> None:
    for models in (("echo",), ("echo:latest",), ("x", "ech*"), ()):
        async with await service.shown(models=models) as caller:
            answer = await caller.post("/v1/chat/completions", json=CHAT)

        assert answer.status_code == 200


@pytest.mark.parametrize(("is_open", "status"), [(True, 200), (False, 401)])
async def test_metrics_are_open_where_that_is_set(
    echo_home: Path, is_open: bool, status: int
) -> None:
    async with keyed(echo_home, open_metrics=is_open) as service, service.client() as nobody:
        assert (await nobody.get("/metrics")).status_code == status


async def test_with_keys_off_anything_goes(echo_home: Path) -> None:
    async with keyed(echo_home, keys="off") as service:
        await service.key("llm:chat")
        async with service.client() as caller:
            for bearer in ("", "Bearer ", "Bearer anything", "Basic eDp5"):
                answer = await caller.get("/v1/models", headers={"authorization": bearer})
                assert answer.status_code == 200


async def test_on_its_own_a_service_asks_for_keys_once_there_was_one(echo_home: Path) -> None:
    async with keyed(echo_home, keys="auto") as service:
        service.services.keys.open()
        async with service.client() as nobody:
            before = await nobody.get("/v1/models")
            key, _ = await service.key("llm:chat")
            after = await nobody.get("/v1/models")
        await service.services.keys.revoke(key.id)

    async with keyed(echo_home, keys="auto") as again, again.client() as nobody:
        again.services.keys.open()
        assert (await nobody.get("/v1/models")).status_code == 401
    assert (before.status_code, after.status_code) == (200, 401)


async def test_a_key_is_told_of_the_models_that_it_is_for(service: Keyed) -> None:
    async with await service.shown(models=("echo-embed",)) as caller:
        openai = (await caller.get("/v1/models")).json()
        ollama = (await caller.get("/api/tags")).json()

    assert [model["id"] for model in openai["data"]] == ["echo-embed:latest"]
    assert [model["name"] for model in ollama["models"]] == ["echo-embed:latest"]
