"""The services behind `canteen quantize`: what is loaded when, and names that do not stay."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from canteen.bootstrap import Services, build
from canteen.cli.quantizing import LocalBench
from canteen.core.model import full_name
from canteen.lifecycle.evaluate.examples import Classified, Dataset
from canteen.metering.sums import Span
from canteen.runtime.catalog import Catalog
from canteen.settings import Settings

PETS = (Classified("1", "A puppy chews a bone.", "dog"), Classified("2", "It purrs.", "cat"))
DATASET = Dataset("pets", "classify", PETS, (), ("cat", "dog"))


def services(home: Path) -> Services:
    return build(Settings.from_env({"CANTEEN_HOME": str(home)}))


@pytest.fixture
async def bench(echo_home: Path) -> AsyncIterator[LocalBench]:
    made = LocalBench(services(echo_home), "echo", DATASET)
    speeds = {"tokens_per_s": 50_000, "prefill_tokens_per_s": 50_000}
    made.services.catalog.derive("echo", "slow:1", parameters=speeds)
    made.services.catalog.derive("echo", "slow:2", parameters={**speeds, "context_length": 4096})
    yield made
    await made.close()


def named(catalog: Catalog, name: str) -> None:
    catalog.put(replace(catalog.get("echo"), name=full_name(name)))


async def test_a_model_that_was_not_loaded_answers_before_it_is_timed(bench: LocalBench) -> None:
    card = bench.services.catalog.get("slow:1")

    for number in (1, 2):
        await bench.sample(card, number)

    (told,) = bench.services.ledger.sums("model", Span())["sums"]
    assert told["requests"] == 3


async def test_it_is_evaluated_with_nothing_else_in_memory(bench: LocalBench) -> None:
    await bench.services.load("slow:1")

    run = await bench.evaluate(bench.services.catalog.get("slow:2"))

    assert run.num_items == 2
    assert [one.card.name for one in await bench.services.loaded()] == ["slow:2"]


async def test_names_of_a_comparison_go_with_it_and_those_of_killed_ones_too(
    echo_home: Path,
) -> None:
    one, other = (LocalBench(services(echo_home), "echo") for _ in range(2))
    catalog = one.services.catalog
    mine, others = f"canteen-compare/{one.number}/a-b:c", f"canteen-compare/{other.number}/a-b:c"
    for name in (mine, others, "canteen-compare/17/x:int4"):
        named(catalog, name)

    await one.close()
    left = [card.name for card in catalog.list() if "compare" in card.name]
    await other.close()

    assert left == [others]
    assert not any("compare" in card.name for card in catalog.list())
