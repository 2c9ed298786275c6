"""`canteen pull upstream:…` and `chain:…`: what is kept, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from canteen.cli.main import main
from canteen.runtime.catalog import Catalog

Call = Callable[..., Result]
WHERE = ("--base-url", "https://api.example.com/v1", "--model", "big")


@pytest.fixture
def call(echo_home: Path) -> Call:
    """Runs the program in a home with the echo models."""

    def run(*words: str) -> Result:
        return CliRunner().invoke(main, words, env={"CANTEEN_HOME": str(echo_home)})

    return run


def test_the_key_is_kept_nowhere_but_where_it_is(
    call: Call, echo_home: Path, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text("sk-very-secret")

    told = call("pull", "upstream:a", *WHERE, "--key-file", str(key), "--price-in", "0.5")

    assert "upstream:a is in the store" in told.stdout
    card = Catalog(echo_home).get("upstream:a")
    assert card.engine == "openai"
    assert card.upstream["key_file"] == str(key)
    assert card.upstream["price_in"] == 0.5
    kept = [path for path in echo_home.rglob("*") if path.is_file()]
    assert not any(b"sk-very-secret" in path.read_bytes() for path in kept)


def test_a_model_that_embeds_is_said_to(call: Call) -> None:
    told = call("pull", "upstream:e", *WHERE, "--embeddings", "--name", "vectors", "--json")

    card = json.loads(told.stdout)
    assert (card["name"], card["kind"], card["engine"]) == (
        "vectors:latest",
        "embedder",
        "openai-embedder",
    )


def test_other_settings_are_another_model_to_the_pool(call: Call, echo_home: Path) -> None:
    digests = set()
    for patience in ("5", "6"):
        call("pull", "upstream:a", *WHERE, "--patience", patience)
        digests.add(Catalog(echo_home).get("upstream:a").digest)

    assert len(digests) == 2


def test_a_chain_has_models_of_the_store(call: Call, echo_home: Path) -> None:
    call("pull", "upstream:a", *WHERE, "--context-length", "4000")

    told = call("pull", "chain:upstream:a,echo", "--name", "big")

    assert "big:latest is in the store" in told.stdout
    card = Catalog(echo_home).get("big")
    assert card.members == ("upstream:a", "echo:latest")
    assert card.context_length == 4000


def test_a_pool_has_upstreams_and_another_pull_gives_it_others(call: Call, echo_home: Path) -> None:
    for name in "abc":
        call("pull", f"upstream:{name}", *WHERE)

    for members in ("upstream:a,upstream:b", "upstream:b,upstream:c"):
        told = call("pull", f"pool:{members}", "--name", "big")

        assert "big:latest is in the store" in told.stdout
        card = Catalog(echo_home).get("big")
        assert (card.engine, card.members) == ("pool", tuple(members.split(",")))


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("pool:echo", "--name", "big"), "upstreams of the store"),
        (("pool:", "--name", "big"), "upstreams of the store"),
        (("pool:upstream:a",), "--name"),
        (("upstream:a",), "--base-url"),
        (("upstream:a", "--base-url", "ftp://host", "--model", "m"), "--base-url"),
        (("upstream:a", "--base-url", "https://host:port/v1", "--model", "m"), "--base-url"),
        (("upstream:a", "--base-url", "https://host/v1"), "--model"),
        (("upstream:a", *WHERE, "--price-of", "openai/gpt-none-such"), "nearest"),
        (("echo", *WHERE), "upstream:NAME only"),
        (("chain:echo,echo-embed", "--name", "big"), "all generate or all embed"),
        (("chain:", "--name", "big"), "all generate or all embed"),
        (("chain:echo,missing", "--name", "big"), "not found"),
        (("chain:echo",), "--name"),
        (("chain:echo", "--name", "echo"), "itself"),
        (("chain:echo", "--name", "big", "--model", "m"), "nothing else"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_way_out(
    call: Call, words: tuple[str, ...], why: str
) -> None:
    told = call("pull", *words)

    assert told.exit_code != 0
    assert why in f"{told.output} {told.exception}"


def test_a_chain_is_of_no_chains(call: Call) -> None:
    call("pull", "chain:echo", "--name", "big")

    assert call("pull", "chain:big,echo", "--name", "bigger").exit_code != 0
