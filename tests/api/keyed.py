"""An app that asks for keys, and clients that show them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from canteen.api.app import App, create_app
from canteen.bootstrap import Services, build
from canteen.core.access import SCOPES
from canteen.metering.keys.key import Key, Wanted
from canteen.settings import Settings

CHAT: dict[str, Any] = {"model": "echo", "messages": [{"role": "user", "content": "one two three"}]}


class Keyed:
    """A service that asks for keys; `lines` has its access log."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.lines: list[bytes] = []
        self.app: App = create_app(services, self.lines.append)

    def client(self, **headers: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app)
        return httpx.AsyncClient(
            transport=transport, base_url="http://localhost", headers=headers, timeout=60
        )

    async def key(self, *scopes: str, **more: Any) -> tuple[Key, str]:
        """A key and its secret."""
        return await self.services.keys.create(Wanted("test", scopes or SCOPES, **more))

    async def shown(self, *scopes: str, **more: Any) -> httpx.AsyncClient:
        """A client that shows a key of its own."""
        _, secret = await self.key(*scopes, **more)
        return self.client(authorization=f"Bearer {secret}")

    def logged(self) -> list[dict[str, Any]]:
        """The access log so far."""
        return [json.loads(line) for line in self.lines]


@asynccontextmanager
async def keyed(home: Path, **settings: Any) -> AsyncIterator[Keyed]:
    """While the service runs."""
    told: dict[str, Any] = {
        "default_model": "echo",
        "default_embedder": "echo-embed",
        "keys": "on",
        **settings,
    }
    services = build(Settings(home=home, **told))
    try:
        yield Keyed(services)
    finally:
        await services.close()
