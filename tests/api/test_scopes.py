"""Every route says what a caller's key needs."""

from canteen.api.dialects import DIALECTS


def test_every_route_of_every_dialect_has_a_scope() -> None:
    without = [
        f"{route.method} {route.path}"
        for dialect in DIALECTS
        for route in dialect.routes
        if route.scope is None
    ]

    assert without == []


def test_only_probes_are_open() -> None:
    is_open = {
        route.path for dialect in DIALECTS for route in dialect.routes if route.scope == "open"
    }

    probes = {"/health", "/health/startup", "/health/live", "/health/ready"}
    assert is_open == probes | {"/healthz", "/ping", "/"}
