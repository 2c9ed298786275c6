"""From energy to water and carbon: the published figures come out, and the wrong form does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.units import Boundary, Quantity, UnitMismatch, exact
from canteen.factors import site
from canteen.factors.places import Site

IT = Boundary(energy="it")
# Li et al., arXiv 2304.03271v5, table 1: PUE, WUE, EWIF and mL for a request of 4 Wh.
LI = [
    ("US average", 1.17, 0.55, 3.142, 2.200, 14.704, 17.28),
    ("Arizona", 1.18, 1.63, 4.959, 6.520, 23.406, 31.10),
    ("Texas", 1.28, 0.25, 1.287, 1.000, 6.589, 7.87),
]
amounts = st.floats(1e-6, 1e6)
shares = st.floats(1.0, 3.0)


def place(pue: float, wue: float, ewif: float, intensity: float = 400.0) -> Site:
    return Site(
        "a place",
        exact(pue),
        exact(wue, "L/kWh"),
        exact(ewif, "L/kWh"),
        exact(intensity, "g/kWh"),
    )


@pytest.mark.parametrize(("name", "pue", "wue", "ewif", "on_site", "source", "wrong"), LI)
def test_water_of_a_request_is_as_published(
    name: str, pue: float, wue: float, ewif: float, on_site: float, source: float, wrong: float
) -> None:
    request = exact(4.0, "Wh", IT)
    there = place(pue, wue, ewif)

    site_ml = site.water_site(request, there).to("mL").central
    source_ml = site.water_source(request, there).to("mL").central

    assert site_ml == pytest.approx(on_site, rel=2e-4)
    assert source_ml == pytest.approx(source, rel=2e-4)
    assert site_ml + source_ml != pytest.approx(wrong, rel=2e-4)


def test_site_water_of_googles_median_prompt_is_as_published() -> None:
    without_overhead = exact(0.24 - 0.02, "Wh", IT)

    water = site.water_site(without_overhead, place(1.09, 1.15, 1.0))

    assert water.to("mL").central == pytest.approx(0.26, rel=0.03)


@given(amounts, shares, shares, amounts, amounts)
def test_site_water_does_not_depend_on_pue(
    energy: float, pue: float, other_pue: float, wue: float, ewif: float
) -> None:
    request = exact(energy, "kWh", IT)

    one = site.water_site(request, place(pue, wue, ewif))

    assert one == site.water_site(request, place(other_pue, wue, ewif))


@given(amounts, shares, amounts, amounts)
def test_water_is_the_facilitys_energy_times_wue_over_pue_plus_ewif(
    energy: float, pue: float, wue: float, ewif: float
) -> None:
    request, there = exact(energy, "kWh", IT), place(pue, wue, ewif)

    both = site.water_site(request, there).central + site.water_source(request, there).central

    at_facility = site.facility(request, there).central
    assert both == pytest.approx(at_facility * (wue / pue + ewif))


@given(amounts, st.floats(1.01, 10.0))
def test_all_grow_in_proportion_to_energy(energy: float, times: float) -> None:
    there = place(1.2, 0.5, 3.0)
    one, more = exact(energy, "kWh", IT), exact(energy * times, "kWh", IT)

    for formula in (site.water_site, site.water_source, site.carbon_operational, site.facility):
        assert formula(more, there).central == pytest.approx(formula(one, there).central * times)


def test_water_on_site_and_at_the_source_do_not_add_up_silently() -> None:
    request, there = exact(1.0, "kWh", IT), place(1.2, 0.5, 3.0)

    with pytest.raises(UnitMismatch, match="source"):
        site.water_site(request, there) + site.water_source(request, there)


def test_pue_is_not_applied_twice() -> None:
    there = place(1.2, 0.5, 3.0)
    at_facility = site.facility(exact(1.0, "kWh", IT), there)

    with pytest.raises(UnitMismatch, match="at its plug"):
        site.water_source(at_facility, there)


def test_making_a_device_is_shared_over_its_life() -> None:
    grams = site.carbon_embodied(exact(1.0, "h"), exact(164.0, "kg"), exact(4.0, "year"))

    assert grams.central == pytest.approx(164_000 / (4 * 8766))
    assert grams.boundary == Boundary(carbon="embodied")


def test_a_wide_factor_makes_the_most_of_the_width() -> None:
    there = place(1.2, 0.5, 3.0)
    wide = Quantity(3.0, 1.3, 5.0, "L/kWh")
    loose = Site(there.name, there.pue, there.wue, wide, there.carbon_intensity)

    water = site.water_source(exact(1.0, "kWh", IT), loose)

    assert water.high / water.low == pytest.approx(5.0 / 1.3)
