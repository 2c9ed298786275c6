"""Adapters are models of their own that the one worker of their model serves."""

import asyncio
from dataclasses import asdict, replace
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from canteen.bootstrap import Services, build
from canteen.cli.main import main
from canteen.core.engine import complete
from canteen.core.errors import InvalidRequest, ModelUnsuitable
from canteen.core.generation import GenerationRequest, Message, ScorePrompt, ScoreRequest
from canteen.core.model import Adapter, ModelCard
from canteen.runtime import adapters
from canteen.runtime.catalog import Catalog
from canteen.settings import Settings
from tests.conftest import Serve, pull
from tests.engines import tiny_llama


def services(home: Path) -> Services:
    return build(Settings.from_env({"CANTEEN_HOME": str(home), "CANTEEN_MODEL": "echo"}))


def adapter_of(catalog: Catalog, base: str, name: str, rank: int = 8) -> ModelCard:
    """Put an adapter into the store whose folder has its name."""
    model = catalog.get(base)
    adapter = Adapter(model.name, model.digest, rank)
    digest = "sha256:" + name.encode().hex().ljust(64, "0")
    card = replace(
        model, name=name, digest=digest, folder=f"prepared/{name}", adapter=asdict(adapter)
    )
    catalog.put(card)
    return catalog.get(name)


async def said(services: Services, model: str) -> str:
    request = GenerationRequest(f"of {model}", model, prompt="hello")
    completion = await complete(services, request)  # type: ignore[arg-type]
    return completion.text


def test_a_model_and_its_adapters_are_answered_by_one_worker(echo_home: Path) -> None:
    async def scenario() -> None:
        served = services(echo_home)
        for name in ("fin", "law"):
            adapter_of(served.catalog, "echo", name)

        answers = await asyncio.gather(*(said(served, name) for name in ("echo", "fin", "law")))

        assert answers == ["hello", "fin hello", "law hello"]
        assert [model.card.name for model in await served.loaded()] == ["echo:latest"]
        await served.close()

    asyncio.run(scenario())


def test_an_adapter_that_comes_later_is_answered_too(echo_home: Path) -> None:
    async def scenario() -> None:
        served = services(echo_home)
        assert await said(served, "echo") == "hello"

        adapter_of(served.catalog, "echo", "fin")

        assert await said(served, "fin") == "fin hello"
        assert len(await served.loaded()) == 1
        await served.close()

    asyncio.run(scenario())


def test_an_adapter_scores(echo_home: Path) -> None:
    async def scenario() -> None:
        served = services(echo_home)
        adapter_of(served.catalog, "echo", "fin")
        prompt = ScorePrompt((Message("user", "yes or what?"),), ("yes", "no"))

        scores = await served.score(ScoreRequest("1", "fin", (prompt,)))

        likely, unlikely = scores.logprobs[0]
        assert likely > unlikely
        await served.close()

    asyncio.run(scenario())


def test_unloading_an_adapter_unloads_its_model(echo_home: Path) -> None:
    async def scenario() -> None:
        served = services(echo_home)
        adapter_of(served.catalog, "echo", "fin")
        await served.load("fin")

        await served.unload("fin")

        assert await served.loaded() == []
        await served.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"name": "other:latest"}, "is not in the store any more"),
        ({"digest": "sha256:" + "1" * 64}, "holds other weights now"),
        ({"engine": "openvino"}, "is run by the openvino engine, which takes no adapters"),
    ],
)
def test_an_adapter_whose_model_is_another_by_now_says_so(
    tmp_path: Path, echo_home: Path, change: dict[str, str], why: str
) -> None:
    catalog = Catalog(echo_home)
    card = adapter_of(catalog, "echo", "fin")
    elsewhere = Catalog(tmp_path / "elsewhere")
    elsewhere.put(replace(catalog.get("echo"), **change))  # type: ignore[arg-type]

    with pytest.raises(ModelUnsuitable, match=f"'fin:latest' is an adapter of .* {why}; pull"):
        adapters.base_of(elsewhere, card)


def test_a_model_stays_as_long_as_it_has_adapters(echo_home: Path) -> None:
    catalog = Catalog(echo_home)
    adapter_of(catalog, "echo", "fin")
    with pytest.raises(InvalidRequest, match=r"adapters fin:latest; .*canteen rm fin:latest"):
        catalog.remove("echo")

    catalog.remove("fin")
    catalog.remove("echo")

    assert [card.name for card in catalog.list()] == ["echo-embed:latest"]


def test_a_model_and_its_adapters_are_removed_together(echo_home: Path) -> None:
    catalog = Catalog(echo_home)
    adapter_of(catalog, "echo", "fin")

    removed = CliRunner().invoke(
        main, ("rm", "echo", "fin"), env={"CANTEEN_HOME": str(echo_home)}, catch_exceptions=False
    )

    assert removed.exit_code == 0
    assert [card.name for card in catalog.list()] == ["echo-embed:latest"]


def test_deleting_an_adapter_leaves_its_model_in_memory(echo_home: Path, serve: Serve) -> None:
    adapter_of(Catalog(echo_home), "echo", "fin")
    server = serve(echo_home)
    asked = {"model": "fin", "prompt": "hello", "stream": False}
    with httpx.Client(base_url=server.url) as client:
        assert client.post("/api/generate", json=asked).json()["response"] == "fin hello"
        workers = server.worker_pids()
        refused = client.request("DELETE", "/api/delete", json={"model": "echo"})

        removed = client.request("DELETE", "/api/delete", json={"model": "fin"})

        assert "its adapters fin:latest" in refused.text
        assert (refused.status_code, removed.status_code) == (400, 200)
        assert client.post("/api/generate", json=asked).status_code == 404
    assert server.worker_pids() == workers


def test_other_engines_take_no_adapters(echo_home: Path) -> None:
    catalog = Catalog(echo_home)

    with pytest.raises(ModelUnsuitable, match="'echo:latest' is run by the echo engine, and only"):
        adapters.wanted(catalog, "echo", "fin")


def test_an_adapter_is_pulled_as_a_model_with_what_its_model_has(tmp_path: Path) -> None:
    source = tiny_llama.write(tmp_path / "llama-tiny")
    home = pull(tmp_path / "home", f"file:{source}")

    async def scenario() -> None:
        served = services(home)
        served.catalog.derive("llama-tiny", "llama-tiny", system="Be brief.")
        made = tiny_llama.write_adapter(tmp_path / "made", rank=4)

        async for _ in served.pull_adapter(f"file:{made}", "fin", "llama-tiny"):
            pass

        base, card = (served.catalog.get(name) for name in ("llama-tiny", "fin"))
        assert card.adapter == {"base": base.name, "base_digest": base.digest, "rank": 4}
        assert (card.parent, card.system, card.template) == (base.name, "Be brief.", base.template)
        assert card.digest not in ("", base.digest)
        assert adapters.ranks(served.catalog, base) == [4]
        with pytest.raises(ModelUnsuitable, match="is an adapter itself; name its model, llama"):
            adapters.wanted(served.catalog, "fin", "other")
        with pytest.raises(InvalidRequest, match="a name other than its model's"):
            adapters.wanted(served.catalog, "llama-tiny", "llama-tiny")
        await served.close()

    asyncio.run(scenario())


def test_a_receipt_names_the_weights_of_the_model_and_of_the_adapter(
    echo_home: Path, serve: Serve
) -> None:
    adapter = adapter_of(Catalog(echo_home), "echo", "fin")
    asked = {"model": "fin", "prompt": "hello", "stream": False}

    told = httpx.post(f"{serve(echo_home).url}/api/generate", json=asked).json()["footprint"]

    assert told["digest"] == f"{Catalog(echo_home).get('echo').digest}+{adapter.digest}"
