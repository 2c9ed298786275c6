"""Switching off what phones home."""

from typing import Any

from canteen.core.telemetry_off import switch_off


def test_the_reporter_cannot_be_imported_and_the_variables_are_set() -> None:
    environ = {"PATH": "/bin", "RAY_USAGE_STATS_ENABLED": "1"}
    modules: dict[str, Any] = {"os": "as before"}

    switch_off(environ, modules)

    assert environ["PATH"] == "/bin"
    assert environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert environ["NNCF_CI"] == "1"
    assert modules == {"os": "as before", "openvino_telemetry": None}
