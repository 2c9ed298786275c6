import asyncio
import gzip
from typing import Any

import pytest
from backports import zstd
from pydantic import BaseModel
from starlette.requests import Request

from canteen.api import body
from canteen.api.errors import HttpError, headers_of, status_of
from canteen.core.errors import InvalidRequest

LIMIT = 1000


class Asked(BaseModel):
    model: str
    n: int = 1
    options: dict[str, Any] = {}


def request(*pieces: bytes, **headers: str) -> Request:
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Any:
        return messages.pop(0)

    named = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return Request({"type": "http", "headers": named}, receive)


async def test_a_body_is_read_in_pieces() -> None:
    assert await body.read(request(b"ab", b"cd"), LIMIT) == b"abcd"


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
async def test_a_packed_body_is_unpacked(encoding: str, pack: Any) -> None:
    packed = pack(b"hello")

    assert await body.read(request(packed, content_encoding=encoding), LIMIT) == b"hello"


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
async def test_a_small_packed_body_cannot_become_a_large_one(encoding: str, pack: Any) -> None:
    with pytest.raises(HttpError) as caught:
        await body.read(request(pack(b"0" * 100_000), content_encoding=encoding), LIMIT)

    assert status_of(caught.value) == 413


async def test_a_body_over_the_limit_is_413() -> None:
    with pytest.raises(HttpError) as caught:
        await body.read(request(b"0" * 600, b"0" * 600), LIMIT)

    assert status_of(caught.value) == 413
    assert "1000 bytes" in caught.value.message


class Slow:
    """A request whose body never ends; `pieces` come at once, then nothing."""

    def __init__(self, *pieces: bytes, **headers: str) -> None:
        self.pieces = list(pieces)
        named = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
        self.request = Request({"type": "http", "headers": named}, self._receive)

    async def _receive(self) -> Any:
        if not self.pieces:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": self.pieces.pop(0), "more_body": True}


async def test_a_body_that_stalls_is_408_and_may_be_sent_again() -> None:
    with pytest.raises(HttpError) as caught:
        await body.read(Slow(b'{"model"').request, LIMIT, patience_s=0.05)

    assert status_of(caught.value) == 408
    assert headers_of(caught.value) == {"connection": "close", "x-should-retry": "true"}


async def test_what_follows_a_body_that_is_too_large_is_read_but_not_for_ever() -> None:
    slow = Slow(b"0" * (LIMIT + 1), b"0" * LIMIT)

    with pytest.raises(HttpError) as caught:
        await body.read(slow.request, LIMIT, patience_s=0.05)

    assert status_of(caught.value) == 413
    assert not slow.pieces


async def test_who_asks_before_sending_too_much_is_told_at_once() -> None:
    slow = Slow(b"0", content_length=str(LIMIT + 1), expect="100-continue")

    with pytest.raises(HttpError) as caught:
        await body.read(slow.request, LIMIT)

    assert status_of(caught.value) == 413
    assert slow.pieces


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstd.compress)])
async def test_what_follows_the_packed_piece_is_never_dropped(encoding: str, pack: Any) -> None:
    with pytest.raises(InvalidRequest):
        await body.read(request(pack(b"a") + pack(b"b"), content_encoding=encoding), LIMIT)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@pytest.mark.parametrize("raw", [b"not packed at all", b""])
async def test_what_does_not_unpack_is_refused(encoding: str, raw: bytes) -> None:
    with pytest.raises(InvalidRequest):
        await body.read(request(raw, content_encoding=encoding), LIMIT)


async def test_a_truncated_packed_body_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        await body.read(request(gzip.compress(b"hello" * 9)[:-9], content_encoding="gzip"), LIMIT)


async def test_an_unknown_encoding_is_415() -> None:
    with pytest.raises(HttpError) as caught:
        await body.read(request(b"x", content_encoding="br"), LIMIT)

    assert status_of(caught.value) == 415


async def test_null_is_absence_also_among_the_options() -> None:
    asked, _ = await body.parse(b'{"model":"m","n":null,"options":{"a":null,"b":1}}', Asked)

    assert asked.n == 1
    assert asked.options == {"b": 1}


async def test_unknown_keys_are_ignored_but_told_and_a_byte_order_mark_is_ignored_too() -> None:
    asked, ignored = await body.parse(b'\xef\xbb\xbf{"model":"m","useTools":true}', Asked)

    assert asked.model == "m"
    assert ignored == ("useTools",)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"model":"\xff\xfe"}',
        b'{"model":"m","n":NaN}',
        b'{"model":"m","n":Infinity}',
        b'{"model":"m","n":1e999}',
        b'{"model":"m","n":' + b"9" * 5000 + b"}",
        b'{"model":"m","options":' + b'{"a":' * 128 + b"1" + b"}" * 128 + b"}",
        b'{"model":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"n":1}',
        b'{"model":"m","n":"x"}',
    ],
)
async def test_bad_bodies_are_the_callers_fault(raw: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await body.parse(raw, Asked)

    assert status_of(caught.value) == 400


async def test_a_refusal_names_the_field() -> None:
    with pytest.raises(InvalidRequest) as caught:
        await body.parse(b'{"model":"m","n":"x"}', Asked)

    assert caught.value.param == "n"


async def test_a_large_body_is_parsed_too() -> None:
    asked, _ = await body.parse(b'{"model":"' + b"m" * 3_000_000 + b'"}', Asked)

    assert len(asked.model) == 3_000_000
