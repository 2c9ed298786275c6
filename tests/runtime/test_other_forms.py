"""A model prepared in another form: its name, its folder, and what is left of failures."""

from contextlib import aclosing
from pathlib import Path

import pytest

from canteen.core.errors import ModelNotFound, ModelUnsuitable, StorageFull
from canteen.core.model import ModelCard
from canteen.runtime import blobs
from canteen.runtime.catalog import Catalog
from canteen.runtime.pull import Form, Puller
from tests.runtime.conftest import PREPARE, WEIGHTS, Pull, is_whole

FORM = Form("int4", ("--format", "int4"))


async def pulled(catalog: Catalog, engine: str, source: Path, name: str) -> ModelCard:
    pulling = Puller(catalog, PREPARE, engine=engine).pull(f"file:{source}", name)
    async with aclosing(pulling) as steps:
        async for _ in steps:
            pass
    return catalog.get(name)


async def prepare(
    catalog: Catalog, source: str, name: str, form: Form = FORM, engine: str = "auto"
) -> ModelCard:
    puller = Puller(catalog, PREPARE, engine=engine)
    async with aclosing(puller.prepare(source, name, form)) as steps:
        async for _ in steps:
            pass
    return catalog.get(name)


async def convert(catalog: Catalog, source: str, name: str, kind: str = "q4_0") -> ModelCard:
    program = ("plain_convert", kind)
    async with aclosing(Puller(catalog, PREPARE).convert(source, name, kind, program)) as steps:
        async for _ in steps:
            pass
    return catalog.get(name)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A folder."""
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "weights").write_bytes(WEIGHTS)
    return folder


def prepared(catalog: Catalog) -> list[str]:
    return [path.name for path in (catalog.home / "prepared").iterdir()]


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


async def test_the_engine_that_is_wanted_of_all_holds_for_a_file_that_is_there_for_another(
    catalog: Catalog, weights: Path
) -> None:
    usual = await pulled(catalog, "auto", weights, "mine:1")
    other = await pulled(catalog, "llamacpp", weights, "mine:2")
    again = await pulled(catalog, "auto", weights, "mine:3")

    assert [card.engine for card in (usual, other, again)] == ["openvino", "llamacpp", "openvino"]
    assert usual.folder == again.folder
    assert other.folder == f"{usual.folder}-llamacpp"
    assert other.digest == usual.digest


async def test_a_file_that_is_there_for_the_wanted_engine_is_not_prepared_again(
    catalog: Catalog, weights: Path
) -> None:
    usual = await pulled(catalog, "auto", weights, "mine:1")

    assert (await pulled(catalog, "openvino", weights, "mine:2")).folder == usual.folder


async def test_a_format_that_is_asked_for_goes_before_the_engine_that_is_wanted_of_all(
    catalog: Catalog, weights: Path
) -> None:
    usual = await pulled(catalog, "auto", weights, "mine:1")
    form = Form("", ("--format", "int8"))

    card = await prepare(catalog, "mine:1", "mine:2", form, engine="llamacpp")

    assert (card.engine, card.folder) == ("openvino", usual.folder)


async def test_a_folder_is_the_same_for_every_engine_that_is_wanted(
    catalog: Catalog, published: Path
) -> None:
    usual = await pulled(catalog, "auto", published, "mine:1")
    other = await pulled(catalog, "llamacpp", published, "mine:2")

    assert other.folder == usual.folder


async def test_ended_early_nothing_is_left(catalog: Catalog, pull: Pull, weights: Path) -> None:
    await pull(f"file:{weights}", "mine:1")

    async with aclosing(Puller(catalog, PREPARE).prepare("mine:1", "mine:2", FORM)) as steps:
        async for step in steps:
            if step.status == "preparing: copying":
                break

    assert [card.name for card in catalog.list()] == ["mine:1"]
    assert prepared(catalog) == [Path(catalog.get("mine:1").folder).name]


async def test_what_cannot_be_prepared_has_no_name(
    catalog: Catalog, pull: Pull, weights: Path
) -> None:
    await pull("echo")
    await pull(f"file:{weights}", "mine:1")

    with pytest.raises(ModelUnsuitable, match="as they were published"):
        await prepare(catalog, "echo", "echo:small")
    with pytest.raises(ModelNotFound):
        await prepare(catalog, "nobody", "nobody:small")
    blobs.remove(catalog.blob_path(catalog.get("mine:1").digest))
    with pytest.raises(ModelUnsuitable, match="source files"):
        await prepare(catalog, "mine:1", "mine:small")

    assert {card.name for card in catalog.list()} == {"echo:latest", "mine:1"}


async def test_another_source_file_keeps_what_was_set_by_hand_and_names_what_it_came_from(
    catalog: Catalog, pull: Pull, weights: Path
) -> None:
    await pull(f"file:{weights}", "mine:1")
    catalog.derive("mine:1", "mine:polite", system="Be polite.", parameters={"temperature": 0.5})

    card = await convert(catalog, "mine:polite", "mine:small")

    assert card.digest == blobs.digest_of_bytes(WEIGHTS[::-1])
    assert (card.parent, card.system) == ("mine:polite", "Be polite.")
    assert card.parameters == {"temperature": 0.5}
    assert card.source == f"file:{weights} in q4_0"
    assert is_whole(catalog, card)
    assert not any(name.startswith(".") for name in prepared(catalog))


async def test_another_source_file_that_cannot_be_made_leaves_nothing(
    catalog: Catalog, pull: Pull, weights: Path
) -> None:
    await pull("echo")
    await pull(f"file:{weights}", "mine:1")
    before = prepared(catalog)

    with pytest.raises(ModelUnsuitable, match="odd weights"):
        await convert(catalog, "mine:1", "mine:small", "q2_k")
    with pytest.raises(StorageFull):
        await convert(catalog, "mine:1", "mine:small", "q3_k_m")
    with pytest.raises(ModelUnsuitable, match="as they were published"):
        await convert(catalog, "echo", "echo:small")

    assert prepared(catalog) == before
    assert {card.name for card in catalog.list()} == {"echo:latest", "mine:1"}
