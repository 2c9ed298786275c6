"""Tokens of somebody else are checked with the keys that they publish, which are asked for once."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from canteen.api.auth_jwt import AGAIN_AFTER_S, Tokens
from canteen.core.errors import InvalidRequest, Overloaded, Unauthorized
from canteen.settings import Settings
from tests.api.keyed import CHAT, keyed

ISSUER, AUDIENCE = "https://login.example", "canteen"
SETTINGS = {
    "jwks_url": "https://login.example/keys",
    "jwt_issuer": ISSUER,
    "jwt_audience": AUDIENCE,
}
EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(65537, 2048)


class Signer:
    """Who signs tokens; `num_asked` counts those who fetched its keys."""

    def __init__(self) -> None:
        self.num_asked = 0
        self.keys: dict[str, Any] = {"first": EC_KEY}
        self.is_gone = False

    def fetch(self) -> Mapping[str, Any]:
        self.num_asked += 1
        if self.is_gone:
            raise httpx.ConnectError("gone")
        return {"keys": [_public(kid, key) for kid, key in self.keys.items()]}


def _public(kid: str, key: Any) -> dict[str, Any]:
    is_rsa = isinstance(key, rsa.RSAPrivateKey)
    told = (RSAAlgorithm if is_rsa else ECAlgorithm).to_jwk(key.public_key())
    return {**json.loads(told), "kid": kid, "use": "sig", "alg": "RS256" if is_rsa else "ES256"}


def token(key: Any = EC_KEY, kid: str = "first", algorithm: str = "ES256", **claims: Any) -> str:
    told = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "orders",
        "exp": time.time() + 600,
        "scope": "openid llm:chat",
        **claims,
    }
    told = {name: value for name, value in told.items() if value is not None}
    return jwt.encode(told, key, algorithm, headers={"kid": kid})


class Bench:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.signer = Signer()
        self.tokens = Tokens(
            Settings(home=Path("unused"), **SETTINGS),  # type: ignore[arg-type]
            self.signer.fetch,
            lambda: self.now_s,
        )


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_good_token_says_who_calls_and_what_they_may(bench: Bench) -> None:
    caller = await bench.tokens.caller(token())

    assert caller.id == "jwt-orders"
    assert caller.scopes == {"llm:chat"}


async def test_scopes_may_be_a_list_and_others_mean_nothing(bench: Bench) -> None:
    listed = await bench.tokens.caller(token(scope=["llm:embed", "root"]))
    none = await bench.tokens.caller(token(scope=None))

    assert listed.scopes == {"llm:embed"}
    assert not none.scopes


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"aud": "another service"},
        {"exp": 1},
        {"exp": None},
        {"sub": None},
        {"aud": None},
        # Far away, since tests are collected long before some of them run.
        {"nbf": 2**33},
    ],
)
async def test_a_token_of_wrong_claims_is_refused(bench: Bench, claims: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized, match="not accepted"):
        await bench.tokens.caller(token(**claims))


async def test_a_token_that_is_signed_otherwise_is_refused(bench: Bench) -> None:
    forged = token(ec.generate_private_key(ec.SECP256R1()))
    unsigned = jwt.encode({"sub": "x"}, "", "none", headers={"kid": "first"})
    shared = token("a shared secret of enough bytes for HMAC", algorithm="HS256")

    for bad in (forged, unsigned, shared, "a.b.c", token()[:-4] + "AAAA"):
        with pytest.raises(Unauthorized):
            await bench.tokens.caller(bad)


async def test_the_keys_are_fetched_once_and_again_for_an_unknown_one(bench: Bench) -> None:
    for _ in range(20):
        await bench.tokens.caller(token())
    once = bench.signer.num_asked
    bench.signer.keys = {"first": EC_KEY, "second": RSA_KEY}
    bench.now_s += AGAIN_AFTER_S

    caller = await bench.tokens.caller(token(RSA_KEY, "second", "RS256"))

    assert caller.id == "jwt-orders"
    assert (once, bench.signer.num_asked) == (1, 2)


async def test_made_up_key_ids_do_not_make_us_ask_and_ask(bench: Bench) -> None:
    await bench.tokens.caller(token())

    for number in range(20):
        with pytest.raises(Unauthorized, match="does not publish"):
            await bench.tokens.caller(token(kid=f"made up {number}"))

    assert bench.signer.num_asked == 1


async def test_where_the_keys_cannot_be_had_a_caller_is_told_to_come_again(bench: Bench) -> None:
    bench.signer.is_gone = True

    with pytest.raises(Overloaded) as told:
        await bench.tokens.caller(token())

    assert told.value.code == "jwks_unavailable"


@pytest.mark.parametrize("missing", ["jwt_issuer", "jwt_audience"])
def test_a_service_with_tokens_of_anybody_does_not_start(missing: str) -> None:
    settings = Settings(home=Path("unused"), **{**SETTINGS, missing: ""})  # type: ignore[arg-type]

    with pytest.raises(InvalidRequest, match="CANTEEN_JWKS_URL needs CANTEEN_JWT_"):
        Tokens.of(settings)


class Publishing(BaseHTTPRequestHandler):
    """Answers with the signer's keys."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(Signer().fetch()).encode())

    def log_message(self, *told: Any) -> None:
        """Nothing."""


@pytest.fixture
def published() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Publishing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/keys"
        server.shutdown()
        thread.join()


async def test_with_a_signer_everybody_needs_a_token_or_a_key(
    echo_home: Path, published: str
) -> None:
    async with keyed(echo_home, keys="auto", **SETTINGS | {"jwks_url": published}) as service:
        _, secret = await service.key("llm:chat")
        ways = {"": 401, secret: 401, f"Bearer {secret}": 200, f"Bearer {token()}": 200}
        ways[f"Bearer {token(scope='llm:embed')}"] = 403

        async with service.client() as caller:
            for shown, status in ways.items():
                headers = {"authorization": shown}
                answer = await caller.post("/v1/chat/completions", json=CHAT, headers=headers)
                assert answer.status_code == status
        assert service.logged()[-1]["caller"] == "jwt-orders"


async def test_each_subject_has_limits_of_its_own(echo_home: Path, published: str) -> None:
    told = {**SETTINGS, "jwks_url": published, "jwt_limits": ("requests_per_day=2",)}
    async with keyed(echo_home, keys="auto", **told) as service, service.client() as caller:

        async def ask(subject: str) -> httpx.Response:
            headers = {"authorization": f"Bearer {token(sub=subject)}"}
            return await caller.post("/v1/chat/completions", json=CHAT, headers=headers)

        mine = [(await ask("orders")).status_code for _ in range(3)]
        theirs = await ask("invoices")

        assert mine == [200, 200, 429]
        assert theirs.headers["x-ratelimit-remaining-requests"] == "1"


@pytest.mark.parametrize("limit", ["tokens_per_hour=1", "tokens_per_day=many"])
def test_a_service_with_limits_that_are_none_does_not_start(limit: str) -> None:
    settings = Settings(home=Path("unused"), **SETTINGS, jwt_limits=(limit,))  # type: ignore[arg-type]

    with pytest.raises(InvalidRequest, match="CANTEEN_JWT_LIMITS"):
        Tokens.of(settings)
