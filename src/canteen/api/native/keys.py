"""`/v1/keys`: who may call, and how much each may have."""

import asyncio
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from canteen.api.routing import Route, Served
from canteen.api.whole import whole
from canteen.api.wire import Wire
from canteen.metering.keys.key import OVERLAP_S, USUAL_SCOPES, Wanted

_ONCE = {"cache-control": "no-store"}
# About a century: longer is no expiry.
_LONGEST_S = 3_153_600_000.0

Seconds = Annotated[float, Field(ge=0, le=_LONGEST_S)]


class KeyRequest(Wire):
    """A key to be made."""

    name: str = Field(description="Whose it is, or what for.")
    scopes: list[str] = Field(
        list(USUAL_SCOPES),
        description="Of llm:chat, llm:embed, llm:tasks, llm:footprint and llm:admin.",
    )
    models: list[str] = Field(
        [], description="Names, or patterns such as smollm2:*, of models it may ask; empty for all."
    )
    limits: dict[str, float] = Field(
        {},
        description="concurrency; requests, tokens, usd, wh and ml, each _per_minute, _per_day or "
        "_per_month.",
    )
    expires_in_s: Seconds | None = Field(None, description="How long it is good for.")


class Rotation(Wire):
    """How the old secret ends."""

    overlap_s: Seconds = Field(OVERLAP_S, description="How long it is good beside the new one.")


class KeyAnswer(BaseModel):
    """A key; times are seconds since 1970. `spent` is what it has had and has held, by limit."""

    model_config = ConfigDict(extra="allow")
    id: str
    name: str
    scopes: list[str]
    models: list[str]
    limits: dict[str, float]
    created_s: float
    expires_s: float | None
    revoked_s: float | None


class KeyMade(KeyAnswer):
    """A key with its secret in `key`, which is told this once."""

    key: str


class KeyList(BaseModel):
    """Every key there was, the newest first."""

    keys: list[KeyAnswer]


async def create(body: KeyRequest, served: Served) -> Response:
    """Make a key; 201, with its secret, which is told this once."""
    ring = served.services.keys
    lasts_s = body.expires_in_s
    wanted = Wanted(
        body.name,
        tuple(body.scopes),
        tuple(body.models),
        body.limits,
        None if lasts_s is None else ring.book.clock() + lasts_s,
    )
    key, secret = await ring.create(wanted)
    return whole(key.told() | {"key": secret}, status=201, headers=_ONCE)


async def every(served: Served) -> Response:
    """The keys there are, and those that were revoked, with what each has had."""
    book = served.services.keys.book
    keys = await asyncio.to_thread(book.list)
    spent = await asyncio.to_thread(book.spent_by, keys)
    told = zip(keys, spent, strict=True)
    return whole({"keys": [key.told() | {"spent": had} for key, had in told]})


async def show(served: Served) -> Response:
    """A key, and what it has had."""
    book = served.services.keys.book
    key = await asyncio.to_thread(book.get, served.path["id"])
    return whole(key.told() | {"spent": await asyncio.to_thread(book.spent, key)})


async def revoke(served: Served) -> Response:
    """Let a key be good for nothing any more."""
    return whole((await served.services.keys.revoke(served.path["id"])).told())


async def rotate(body: Rotation, served: Served) -> Response:
    """Give a key another secret, which is told this once; the old one is good for a while."""
    key, secret = await served.services.keys.rotate(served.path["id"], body.overlap_s)
    return whole(key.told() | {"key": secret}, headers=_ONCE)


ROUTES = (
    Route("GET", "/v1/keys", every, None, KeyList, "Every key", scope="llm:admin"),
    Route("POST", "/v1/keys", create, KeyRequest, KeyMade, "Make a key", scope="llm:admin"),
    Route("GET", "/v1/keys/{id}", show, None, KeyAnswer, "A key", scope="llm:admin"),
    Route("DELETE", "/v1/keys/{id}", revoke, None, KeyAnswer, "Revoke a key", scope="llm:admin"),
    Route(
        "POST",
        "/v1/keys/{id}/rotate",
        rotate,
        Rotation,
        KeyMade,
        "Give a key another secret",
        scope="llm:admin",
    ),
)
