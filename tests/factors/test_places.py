"""Places: regions of clouds, countries, operators by year, and what stands in for the unknown."""

import datetime

import pytest

from canteen.core.errors import InvalidRequest
from canteen.factors import places
from canteen.factors.table import load


def test_every_place_has_all_four_figures() -> None:
    for row in (*load("regions").rows, *load("grids").rows):
        made = places.site(row.name)

        assert [one.unit for one in (made.pue, made.wue, made.ewif)] == ["1", "L/kWh", "L/kWh"]
        assert made.carbon_intensity.unit == "g/kWh"
        assert 1 <= made.pue.low < made.pue.high


def test_a_region_is_of_its_operator_and_its_grid() -> None:
    ashburn = places.site("us-east4")

    assert ashburn.pue.central == 1.09
    assert ashburn.carbon_intensity.central == 322
    assert ashburn.ewif.central == pytest.approx(3.132, abs=0.001)


def test_a_region_without_a_published_grid_has_its_countrys() -> None:
    assert places.site("eu-west-3").carbon_intensity.central == pytest.approx(41, rel=0.02)


def test_a_country_is_a_room_of_ones_own_unless_an_operator_is_named() -> None:
    assert places.site("DEU").pue.central == 1.7
    assert places.site("DEU", "azure").pue.central == 1.17


def test_nothing_said_is_the_world() -> None:
    world = places.site()

    assert world.name == "the world"
    assert world.ewif.central == 3.908


def test_an_operator_has_the_figures_of_the_year() -> None:
    then = places.site("us-east-1", on=datetime.date(2024, 6, 1))

    assert (then.pue.central, then.wue.central) == (1.15, 0.15)
    assert places.site("us-east-1").wue.central == 0.12


def test_a_day_before_all_figures_has_the_first() -> None:
    assert places.site("us-east-1", on=datetime.date(2019, 1, 1)).pue.central == 1.15


def test_a_country_without_a_water_figure_has_the_worlds() -> None:
    assert places.site("AFG").ewif.inputs[0].name == "WOR, ewif"


def test_a_withdrawal_is_told_as_such() -> None:
    assert "withdrawal" in places.site("us-east-1").wue.inputs[0].source


@pytest.mark.parametrize(
    ("region", "provider", "near"),
    [("us-est-1", "", "us-east-1"), ("germany", "", "german"), ("", "asw", "aws")],
)
def test_unknown_names_list_the_nearest(region: str, provider: str, near: str) -> None:
    with pytest.raises(InvalidRequest, match=near):
        places.site(region, provider)
