"""The article's numbers come out of the planner, and what cannot be compared is not."""

import datetime

import pytest

from canteen.core.units import Quantity, UnitMismatch
from canteen.planning import article
from canteen.planning.article import Claim, Figure

TODAY = datetime.date(2026, 11, 1)


def claim(words: str) -> Claim:
    (found,) = (one for one in article.claims(TODAY) if words in one.claim)
    return found


def figure(figures: tuple[Figure, ...], words: str) -> Figure:
    (found,) = (one for one in figures if words in one.name)
    return found


def result(figures: tuple[Figure, ...], words: str) -> Quantity:
    return figure(figures, words).result


def test_gpt_3_takes_350_gb() -> None:
    assert result(claim("350 GB").then, "16 bits").to("GB").central == pytest.approx(350)


@pytest.mark.parametrize(("name", "fits"), [("p5", True), ("m7i", True), ("g5", False)])
def test_two_of_the_three_machines_hold_it(name: str, fits: bool) -> None:
    assert (result(claim("hold it").then, name).central < 1) is fits


def test_a_mixture_of_4_bits_fits_where_16_bits_do_not() -> None:
    assert result(claim("2 bytes").today, "Q4_K_M").to("GB").central == pytest.approx(106, rel=0.03)
    assert result(claim("hold it").today, "Q4_K_M").central < 0.6


def test_gpt_3_took_355_years_of_one_gpu() -> None:
    assert result(claim("355").then, "V100").to("year").central == pytest.approx(355, rel=0.02)


def test_gpt_3_cost_4_6_million_dollars() -> None:
    assert result(claim("$4.6").then, "V100").to("USD").central == pytest.approx(4.6e6, rel=0.02)


def test_today_it_costs_a_third_of_that() -> None:
    today = result(claim("$4.6").today, str(TODAY))

    assert today.central == pytest.approx(1.5e6, rel=0.02)
    assert today.low < today.central < today.high


@pytest.mark.parametrize(
    ("name", "then", "today"),
    [
        ("p5.48xlarge costs", 98.32, 55.04),
        ("g5.48xlarge costs", 16.288, 16.288),
        ("m7i.48xlarge costs", 9.6768, 9.6768),
    ],
)
def test_each_machine_has_the_price_of_its_day(name: str, then: float, today: float) -> None:
    found = claim(name)

    assert found.then[0].result.to("USD/h").central == pytest.approx(then)
    assert found.today[0].result.to("USD/h").central == pytest.approx(today)
    assert found.standing.startswith("holds") is (then == today)


def test_expensive_gpus_are_cheaper_a_token() -> None:
    then = claim("expensive").then

    assert result(then, "price of").central == pytest.approx(10.2, rel=0.01)
    assert result(then, "bandwidth").central == pytest.approx(44, rel=0.02)
    assert result(then, "cheaper").central == pytest.approx(4.3, rel=0.02)


def test_500_ml_are_30_requests_of_2020() -> None:
    then = claim("500 mL").then

    assert result(then, "Li et al., US average: both").central == pytest.approx(16.904, rel=2e-4)
    assert result(then, "both: requests").central == pytest.approx(29.6, rel=0.002)


@pytest.mark.parametrize("whose", ["Google's median prompt", "Epoch's estimate"])
def test_500_ml_are_hundreds_of_requests_today(whose: str) -> None:
    today = claim("500 mL").today

    assert 394 < result(today, f"{whose}, both: requests").central < 592
    assert 3030 < result(today, f"{whose}, site alone: requests").central < 4545


def test_every_figure_says_where_it_is_from() -> None:
    figures = [one for each in article.claims(TODAY) for one in (*each.then, *each.today)]
    unsourced = [
        one.name
        for one in figures
        for told in one.result.inputs
        if not told.source or not told.as_of
    ]

    assert unsourced == []
    assert all(one.formula for one in figures)


def test_a_life_cycle_is_not_compared_with_a_site() -> None:
    today = claim("500 mL").today

    with pytest.raises(UnitMismatch, match="lifecycle"):
        article.compare(figure(today, "Mistral"), figure(today, "Google publishes, site"))


def test_figures_of_one_scope_are_compared() -> None:
    today = claim("500 mL").today

    ratio = article.compare(
        figure(today, "Google publishes, site"),
        figure(today, "Google's median prompt: water on site"),
    )

    assert ratio.central == pytest.approx(0.26 / 0.121)
