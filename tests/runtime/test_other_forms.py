"""A model prepared in another form: its name, its folder, and what is left of failures."""

from contextlib import aclosing
from pathlib import Path

import pytest

from canteen.core.errors import EngineError, ModelNotFound, ModelUnsuitable
from canteen.core.model import ModelCard
from canteen.runtime import blobs
from canteen.runtime.catalog import Catalog
from canteen.runtime.pull import Form, Puller
from tests.runtime.conftest import PREPARE, Pull, is_whole

FORM = Form("int4", ("--format", "int4"))


async def prepare(catalog: Catalog, source: str, name: str, form: Form = FORM) -> ModelCard:
    async with aclosing(Puller(catalog, PREPARE).prepare(source, name, form)) as steps:
        async for _ in steps:
            pass
    return catalog.get(name)


async def test_another_form_has_a_folder_of_its_own_and_shares_the_source(
    catalog: Catalog, pull: Pull, weights: Path
) -> None:
    await pull(f"file:{weights}", "mine:1")
    catalog.derive("mine:1", "mine:polite", system="Be polite.")

    card = await prepare(catalog, "mine:polite", "mine:small")

    base = catalog.get("mine:1")
    assert (card.digest, card.folder) == (base.digest, f"{base.folder}-int4")
    assert (card.parent, card.system) == ("mine:polite", "Be polite.")
    assert is_whole(catalog, card)
    catalog.remove("mine:1")
    catalog.remove("mine:polite")
    assert is_whole(catalog, catalog.get("mine:small"))
    assert not catalog.path(base).exists()


async def test_the_usual_form_is_the_folder_that_is_there(
    catalog: Catalog, pull: Pull, weights: Path
) -> None:
    await pull(f"file:{weights}", "mine:1")
    made_ns = catalog.path(catalog.get("mine:1")).stat().st_ctime_ns

    card = await prepare(catalog, "mine:1", "mine:again", Form())

    assert card.folder == catalog.get("mine:1").folder
    assert catalog.path(card).stat().st_ctime_ns == made_ns


async def test_ended_early_nothing_is_left(catalog: Catalog, pull: Pull, weights: Path) -> None:
    await pull(f"file:{weights}", "mine:1")

    async with aclosing(Puller(catalog, PREPARE).prepare("mine:1", "mine:2", FORM)) as steps:
        async for step in steps:
            if step.status == "preparing: copying":
                break

    assert [card.name for card in catalog.list()] == ["mine:1"]
    prepared = [path.name for path in (catalog.home / "prepared").iterdir()]
    assert prepared == [Path(catalog.get("mine:1").folder).name]


async def test_what_cannot_be_prepared_has_no_name(
    catalog: Catalog, pull: Pull, weights: Path
) -> None:
    await pull("echo")
    await pull(f"file:{weights}", "mine:1")

    with pytest.raises(ModelUnsuitable, match="source files"):
        await prepare(catalog, "echo", "echo:small")
    with pytest.raises(ModelNotFound):
        await prepare(catalog, "nobody", "nobody:small")
    blobs.remove(catalog.blob_path(catalog.get("mine:1").digest))
    with pytest.raises((ModelUnsuitable, EngineError)):
        await prepare(catalog, "mine:1", "mine:small")

    assert {card.name for card in catalog.list()} == {"echo:latest", "mine:1"}
