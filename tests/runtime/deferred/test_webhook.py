"""Webhooks are signed so that the official library believes them, and go where they may."""

import json
from base64 import b64encode

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from canteen.core.errors import Forbidden, InvalidRequest
from canteen.runtime.deferred.outbox import Letter, new_letter_id
from canteen.runtime.deferred.posting import Undelivered
from canteen.runtime.deferred.webhook import Webhooks
from tests.runtime.deferred.listener import listening

SIGNING_KEY = "whsec_" + b64encode(bytes(range(32))).decode()


def letter(url: str) -> Letter:
    body = json.dumps({"type": "job.done", "data": {"text": "grüße"}})
    return Letter(new_letter_id(), "webhook", url, {"traceparent": "00-1"}, body, 0.0)


async def test_the_official_library_believes_what_is_sent() -> None:
    async with listening() as listener:
        sent = letter(listener.url)
        await Webhooks(SIGNING_KEY, ["127.0.0.1"]).send(sent)

    (got,) = listener.got
    assert Webhook(SIGNING_KEY).verify(got.body, got.headers) == json.loads(sent.body)
    assert got.headers["webhook-id"] == sent.id
    assert got.headers["traceparent"] == "00-1"
    with pytest.raises(WebhookVerificationError):
        Webhook(SIGNING_KEY).verify(got.body.replace("done", "gone"), got.headers)


@pytest.mark.parametrize(("status", "is_final"), [(500, False), (302, False), (410, True)])
async def test_what_is_not_taken_is_undelivered(status: int, is_final: bool) -> None:
    async with listening(status) as listener:
        with pytest.raises(Undelivered, match=str(status)) as found:
            await Webhooks(SIGNING_KEY, ["127.0.0.1"]).send(letter(listener.url))

    assert found.value.is_final is is_final


async def test_nobody_there_is_undelivered() -> None:
    async with listening() as listener:
        url = listener.url
    with pytest.raises(Undelivered, match="ConnectError"):
        await Webhooks(SIGNING_KEY, ["127.0.0.1"]).send(letter(url))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/",
        "host",
        "http://",
        "https://me:pw@host/",
        "http://:pw@host/",
        "[::",
        "http://host:99999/",
        "http://host/\x01",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match="https://HOST/PATH"):
        Webhooks(SIGNING_KEY, ["host"]).check(url)


def test_only_hosts_that_are_listed_are_sent_to() -> None:
    Webhooks(SIGNING_KEY, ["App.example"]).check("https://app.example:8443/done")
    with pytest.raises(Forbidden, match="CANTEEN_WEBHOOK_HOSTS"):
        Webhooks(SIGNING_KEY, ["app.example"]).check("http://169.254.169.254/")
    with pytest.raises(Forbidden, match="CANTEEN_WEBHOOK_SECRET"):
        Webhooks("", ["app.example"]).check("https://app.example/")


@pytest.mark.parametrize("bad", ["secret", "whsec_", "whsec_!", "whsec_c2hvcnQ=", "x" * 40])
def test_a_secret_that_signs_nothing_is_refused_when_the_service_starts(bad: str) -> None:
    with pytest.raises(InvalidRequest, match="CANTEEN_WEBHOOK_SECRET must be"):
        Webhooks(bad, [])
