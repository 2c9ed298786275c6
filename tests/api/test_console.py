"""The console's files, as they are served; tests/console opens them in a browser."""

from pathlib import Path

import pytest

from canteen.api.console import DIALECT, FOLDER, POLICY
from tests.api.keyed import keyed

MOST_BYTES = 250_000


async def test_the_files_are_open_where_keys_are_asked_for(echo_home: Path) -> None:
    async with keyed(echo_home) as service, service.client() as client:
        statuses = {
            route.path: (await client.get(route.path)).status_code for route in DIALECT.routes
        }
        models = await client.get("/v1/models")

    assert set(statuses.values()) == {200}
    assert models.status_code == 401


async def test_every_file_keeps_the_browser_to_this_host(echo_home: Path) -> None:
    async with keyed(echo_home) as service, service.client() as client:
        answers = [await client.get(route.path) for route in DIALECT.routes]

    assert {answer.headers["content-security-policy"] for answer in answers} == {POLICY}
    assert {answer.headers["x-content-type-options"] for answer in answers} == {"nosniff"}


async def test_a_file_that_has_not_changed_is_not_sent_again(echo_home: Path) -> None:
    async with keyed(echo_home) as service, service.client() as client:
        first = await client.get("/console")
        again = await client.get("/console", headers={"if-none-match": first.headers["etag"]})

    assert first.headers["content-type"] == "text/html; charset=utf-8"
    assert (again.status_code, again.content) == (304, b"")


async def test_a_slash_at_the_end_leads_to_where_relative_references_hold(
    echo_home: Path,
) -> None:
    async with keyed(echo_home) as service, service.client() as client:
        answer = await client.get("/console/")

    # A proxy that strips a prefix cannot mend an absolute one.
    assert (answer.status_code, answer.headers["location"]) == (307, "../console")


async def test_a_file_is_compressed_for_those_who_can_read_that(echo_home: Path) -> None:
    async with keyed(echo_home) as service, service.client() as client:
        plain = await client.get("/console/console.css", headers={"accept-encoding": "identity"})
        small = await client.get("/console/console.css", headers={"accept-encoding": "gzip"})

    assert small.content == plain.content
    assert (small.headers["content-encoding"], plain.headers.get("content-encoding")) == (
        "gzip",
        None,
    )
    assert int(small.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert small.headers["etag"] != plain.headers["etag"]


@pytest.mark.parametrize("path", ["/console/none.js", "/console/..%2fsettings.py"])
async def test_what_is_no_file_of_it_is_not_found(echo_home: Path, path: str) -> None:
    async with keyed(echo_home, keys="off") as service, service.client() as client:
        answer = await client.get(path)

    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


def test_all_of_it_is_small() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < MOST_BYTES


def test_nothing_in_it_is_inline_or_makes_markup_of_text() -> None:
    source = "".join(path.read_text() for path in FOLDER.iterdir())

    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        " style=",
        "eval(",
    ):
        assert word not in source
    assert "<script>" not in source
