from collections.abc import Iterator

import pytest

from canteen.core.footprint import Account, Charge, Footprint, Receipt
from canteen.core.generation import Usage
from canteen.core.units import exact
from canteen.metering.metrics import Metrics, ModelGauges, RequestRecord

FOOTPRINT = Footprint(
    energy=exact(8, "J"),
    water_site=exact(0.004, "L"),
    water_source=exact(0.008, "L"),
    carbon_operational=exact(0.4, "g"),
    cost=exact(0.04, "USD"),
)
RECEIPT = Receipt(
    id="rcpt_1",
    model="m",
    digest="sha256:0",
    engine="echo",
    caller_id="",
    ended_s=0.0,
    usage=Usage(),
    charge=Charge(prefill_uj=1_000_000, decode_uj=3_000_000),
    footprint=FOOTPRINT,
)


@pytest.fixture
def metrics() -> Metrics:
    metrics = Metrics()
    metrics.record(RequestRecord("chat", "m", 1.0, receipt=RECEIPT))
    return metrics


def lines(metrics: Metrics, *, is_open: bool = False) -> Iterator[str]:
    metrics.gauge("1.2.3", ())
    yield from metrics.text(is_open=is_open).decode().splitlines()


def booked(idle_uj: int) -> dict[Account, int]:
    return {"requests": 4_000_000, "train": 0, "load": 7, "idle": idle_uj, "unattributed": 0}


def test_energy_is_counted_by_model_and_phase(metrics: Metrics) -> None:
    told = list(lines(metrics))

    assert 'llm_energy_joules_total{model="m",phase="prefill"} 1.0' in told
    assert 'llm_energy_joules_total{model="m",phase="decode"} 3.0' in told


def test_water_carbon_and_money_are_shared_by_energy(metrics: Metrics) -> None:
    told = list(lines(metrics))

    assert 'llm_water_ml_total{model="m",phase="prefill",provenance="A",scope="site"} 1.0' in told
    assert 'llm_water_ml_total{model="m",phase="decode",provenance="A",scope="source"} 6.0' in told
    assert any(line.startswith('llm_carbon_g_total{model="m",phase="decode"} 0.3') for line in told)
    assert 'llm_cost_usd_total{model="m",phase="prefill"} 0.01' in told


def test_what_is_nobodys_grows_with_the_accounts(metrics: Metrics) -> None:
    metrics.book(booked(idle_uj=1_000_000))
    metrics.book(booked(idle_uj=5_000_000))

    assert 'llm_energy_joules_total{model="",phase="idle"} 5.0' in list(lines(metrics))


def test_trouble_of_the_ledger_comes_and_goes(metrics: Metrics) -> None:
    metrics.book(booked(idle_uj=0), has_trouble=True)
    assert "canteen_ledger_trouble 1.0" in list(lines(metrics))

    metrics.book(booked(idle_uj=0))
    assert "canteen_ledger_trouble 0.0" in list(lines(metrics))


def test_open_metrics_name_a_receipt(metrics: Metrics) -> None:
    told = [line for line in lines(metrics, is_open=True) if "llm_energy_joules_total" in line]

    assert all('# {receipt_id="rcpt_1"}' in line for line in told)
    assert not any("rcpt_1" in line for line in lines(metrics))


def test_a_plan_is_compared_with_the_memory_it_was_for(metrics: Metrics) -> None:
    loaded = ModelGauges("m", 0, 0, 0.0, 300, 0, load_bytes=200, planned_bytes=180)

    metrics.gauge("1.2.3", [loaded])
    told = metrics.text().decode().splitlines()

    assert 'canteen_plan_error_ratio{model="m"} 0.9' in told
