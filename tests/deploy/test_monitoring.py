"""The dashboard and the alerts name series that /metrics has."""

import json
import urllib.request
from typing import Any

import pytest
import yaml

from tests.deploy.chart import CHART
from tests.deploy.series import families, named
from tests.serving import Server

ALERTS = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())
RULES: list[dict[str, Any]] = [rule for group in ALERTS["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((CHART / "files" / "dashboard.json").read_text())


@pytest.fixture(scope="module")
def series(echo_server: Server) -> set[str]:
    with urllib.request.urlopen(f"{echo_server.url}/metrics") as answer:
        return families(answer.read().decode())


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ('sum by (le, b_c) (rate(a_bucket{x="y z"}[5m])) > 5', {"a_bucket"}),
        ("a:b / on(c) group_left(d) e unless e offset 5m", {"a:b", "e"}),
        ('label_replace(a, "b", "$1", "c", "(.*)")', {"a"}),
    ],
)
def test_the_series_of_an_expression_are_found(expression: str, names: set[str]) -> None:
    assert named(expression) == names


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_watches_what_there_is(rule: dict[str, Any], series: set[str]) -> None:
    assert named(rule["expr"])
    assert named(rule["expr"]) - series == set()
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert set(rule["annotations"]) == {"summary", "action"}


@pytest.mark.parametrize("panel", DASHBOARD["panels"], ids=lambda panel: str(panel["title"]))
def test_a_panel_shows_what_there_is(panel: dict[str, Any], series: set[str]) -> None:
    for target in panel["targets"]:
        assert named(target["expr"])
        assert named(target["expr"]) - series == set()


def test_versions_are_marked_on_the_dashboard(series: set[str]) -> None:
    (versions,) = DASHBOARD["annotations"]["list"]

    assert named(versions["expr"]) == {"build_info"} <= series
