"""What settings make of a service."""

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from canteen.bootstrap import Services, build, running
from canteen.core.errors import InvalidRequest, ModelUnsuitable
from canteen.core.footprint import Charge
from canteen.core.model import ModelCard
from canteen.engines.devices import gpus
from canteen.runtime.catalog import Catalog
from canteen.runtime.figures import Figures
from canteen.runtime.pull import PREPARATION
from canteen.settings import Settings
from tests.cards import card

SHAPE = {
    "general.architecture": "llama",
    "llama.block_count": 30,
    "llama.embedding_length": 576,
    "llama.feed_forward_length": 1536,
    "llama.attention.head_count": 9,
    "llama.attention.head_count_kv": 3,
    "llama.context_length": 2048,
    "llama.vocab_size": 49152,
}
CARD = card(engine="openvino", size_bytes=140_000_000, context_length=2048, metadata=SHAPE)

LIBRARY = """
class ggml_backend_dev_type:
    GGML_BACKEND_DEVICE_TYPE_CPU = 0


def get_device_info():
    return [{"name": "one", "description": "One", "memory_free": 1 << 35, "type": 1}]
"""


def services(home: Path, **environ: str) -> Services:
    return build(Settings.from_env({"CANTEEN_HOME": str(home), **environ}))


def test_the_cache_of_llamacpp_holds_what_its_memory_allows(tmp_path: Path) -> None:
    settings = Settings.from_env({"CANTEEN_HOME": str(tmp_path), "CANTEEN_KV_CACHE_GB": "2"})
    # Keys and values of 30 layers with 3 heads of 64, in 16 bits.
    bytes_per_token = 2 * 30 * 3 * 64 * 2

    told = running.options(settings, Catalog(tmp_path), replace(CARD, engine="llamacpp"))

    assert told["kv_cache_tokens"] == min(2_000_000_000 // bytes_per_token, 2048 * 32)
    unknown = replace(CARD, engine="llamacpp", metadata={}, context_length=131_072)
    assert running.kv_cache_tokens(settings, unknown) == 8192


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A library that tells of a GPU, in place of llama.cpp's."""
    library = tmp_path / "library"
    library.mkdir()
    (library / "xllamacpp.py").write_text(LIBRARY)
    monkeypatch.setenv("PYTHONPATH", f"{library}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.syspath_prepend(library)
    gpus.cache_clear()
    yield
    gpus.cache_clear()


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize(("ray", "has_some"), [("", True), ("10.0.0.5:6379", False)])
def test_on_a_ray_cluster_no_layers_are_for_the_gpus_of_this_machine(
    tmp_path: Path, ray: str, has_some: bool
) -> None:
    settings = Settings.from_env({"CANTEEN_HOME": str(tmp_path), "CANTEEN_RAY": ray})

    told = running.options(settings, Catalog(tmp_path), replace(CARD, engine="llamacpp"))

    assert (told["num_gpu_layers"] > 0) is has_some


def test_the_engine_setting_overrules_what_a_file_was_prepared_for(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    folder = catalog.prepared(CARD.digest, PREPARATION).relative_to(tmp_path)
    usual = replace(CARD, format="gguf", folder=str(folder))
    other = replace(usual, folder=f"{folder}-int4")
    catalog.blob_path(CARD.digest).parent.mkdir(parents=True)
    catalog.blob_path(CARD.digest).write_bytes(b"GGUF")

    def engine(card: ModelCard, wanted: str) -> str:
        settings = Settings.from_env({"CANTEEN_HOME": str(tmp_path), "CANTEEN_ENGINE": wanted})
        return running.chosen(settings, catalog, card).engine

    assert engine(usual, "auto") == "openvino"
    assert engine(usual, "llamacpp") == "llamacpp"
    assert engine(other, "llamacpp") == "openvino"


def embodied_g(home: Path, **environ: str) -> float | None:
    """Of an hour of the machine."""
    told = services(home, **environ).accounting.rates.footprint(Charge(decode_us=3_600_000_000))
    return None if told.carbon_embodied is None else told.carbon_embodied.to("g").central


def test_a_rented_machine_of_known_making_has_its_part_of_that_on_receipts(tmp_path: Path) -> None:
    # Eight accelerators and the server of 5,700 kg around them, over four years of 8,766 hours.
    whole_g = (8 * 164 + 5700) * 1000

    made_g = embodied_g(tmp_path, CANTEEN_INSTANCE="p5.48xlarge")

    assert made_g == pytest.approx(whole_g / (4 * 8766))


def test_a_rented_machines_price_is_the_cost_of_its_hardware_too(tmp_path: Path) -> None:
    rented = services(tmp_path, CANTEEN_INSTANCE="p5.48xlarge").accounting.rates

    assert rented.cost_of_time is not None
    assert rented.cost_of_energy is None


@pytest.mark.parametrize("environ", [{}, {"CANTEEN_INSTANCE": "m7i.48xlarge"}])
def test_where_nobody_says_what_making_it_took_nothing_is_told(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    assert embodied_g(tmp_path, **environ) is None


def test_an_instance_that_is_not_known_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="p5"):
        services(tmp_path, CANTEEN_INSTANCE="p5.48xlarg", CANTEEN_PRICE_USD_PER_H="3")


@pytest.mark.parametrize("measured_bytes", [0, 463_000_000])
async def test_the_arithmetic_of_a_refusal_is_of_the_number_that_is_refused(
    tmp_path: Path, measured_bytes: int
) -> None:
    figures = Figures(tmp_path / "measured.json")
    figures.record_memory(CARD, measured_bytes)
    await figures.save()
    made = services(tmp_path, CANTEEN_MEMORY_GB="0.3", CANTEEN_KV_CACHE_GB="1")
    made.catalog.put(CARD)

    with pytest.raises(ModelUnsuitable) as refusal:
        await made.load("m")

    told = str(refusal.value)
    needed_mb = int(re.findall(r"needs (\d+) MB", told)[0])
    counted, _, planned = told.partition("(")[2].partition(". Planned with one whole context: ")
    assert sum(map(int, re.findall(r"(\d+) MB", counted))) == needed_mb
    assert "together" in planned
