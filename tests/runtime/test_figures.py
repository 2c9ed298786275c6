"""What was measured of a model is remembered, and what was not is estimated."""

from pathlib import Path

import pytest

from canteen.runtime.figures import ENGINE_BYTES, WORKER_BYTES, Figures
from tests.cards import card

CARD = card(size_bytes=1000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "measured.json"


def test_what_a_model_counts_for_is_told_by_terms_that_add_up_to_it() -> None:
    weighty = card(size_bytes=140_000_000)
    figures = Figures(kv_cache_bytes=1_000_000_000)

    assert figures.memory_bytes(weighty) == 1_410_000_000
    assert figures.told(weighty) == (
        "not measured yet: engine 200 MB, 1.5 times the weights 210 MB, KV cache 1000 MB"
    )

    figures.record_memory(weighty, 463_000_000)

    assert figures.told(weighty) == "463 MB is the most that it was measured to take"


async def test_figures_survive_a_restart(path: Path) -> None:
    figures = Figures(path)
    figures.record_load(CARD, 2.5)
    figures.record_memory(CARD, 700)
    await figures.save()

    again = Figures(path)

    assert (again.memory_bytes(CARD), again.load_s(CARD)) == (700, 2.5)
    assert again.is_measured(CARD)


def test_the_highest_figure_counts() -> None:
    figures = Figures()

    grown = [figures.record_memory(CARD, size) for size in (700, 900, 300)]

    assert grown == [True, True, False]
    assert figures.memory_bytes(CARD) == 900


def test_names_of_the_same_weights_share_their_figures() -> None:
    figures = Figures()

    figures.record_memory(CARD, 700)

    assert figures.memory_bytes(card(name="other:latest", size_bytes=1000)) == 700
    assert not figures.is_measured(card(engine="another", size_bytes=1000))


def test_what_was_never_measured_is_estimated_from_its_files_and_cache() -> None:
    figures = Figures(kv_cache_bytes=5000)

    assert figures.memory_bytes(CARD) == ENGINE_BYTES + 1500 + 5000
    assert figures.memory_bytes(card(kind="embedder", size_bytes=1000)) == ENGINE_BYTES + 1500
    assert figures.memory_bytes(card(size_bytes=0)) == WORKER_BYTES


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[1]",
        '{"a": 1}',
        '{"a": {"load_s": 1}}',
        '{"echo prepared/m": {"memory_bytes": 1, "load_s": 1e999}}',
    ],
)
def test_a_file_that_makes_no_sense_is_no_figures(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)

    assert not Figures(path).is_measured(CARD)


async def test_a_file_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    figures = Figures(in_the_way / "measured.json")

    figures.record_memory(CARD, 700)
    await figures.save()

    assert figures.memory_bytes(CARD) == 700
