"""Calls to other services, as Prometheus counts them."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

STATES = ("closed", "open", "half-open")
_BUCKETS_S = (
    0.01,
    0.02,
    0.04,
    0.08,
    0.16,
    0.32,
    0.64,
    1.28,
    2.56,
    5.12,
    10.24,
    20.48,
    40.96,
    81.92,
)


class Abroad:
    """Per model of an upstream: how its calls end, when answers begin, how its circuit stands."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "canteen_upstream_calls",
            "Calls to upstreams, by how they ended: ok, or the code of the error",
            ("model", "outcome"),
            registry=registry,
        )
        self._first = Histogram(
            "gen_ai_client_operation_time_to_first_chunk_seconds",
            "A call to an upstream until the first piece of its answer",
            ("gen_ai_request_model",),
            buckets=_BUCKETS_S,
            registry=registry,
        )
        self._circuit = Gauge(
            "canteen_upstream_circuit",
            "1 for the state that an upstream's circuit breaker is in",
            ("model", "state"),
            registry=registry,
        )
        self._up = Gauge(
            "canteen_upstream_up",
            "Whether an upstream that is one of a pool took requests at the last look",
            ("model",),
            registry=registry,
        )

    def tell_up(self, model: str, is_up: bool) -> None:
        """Tell how a member of a pool was found."""
        self._up.labels(model).set(is_up)

    def count(self, model: str, outcome: str, waited_s: float | None) -> None:
        """Count a call; `waited_s` until its answer began, None where it never did."""
        self._calls.labels(model, outcome).inc()
        if waited_s is not None:
            self._first.labels(model).observe(waited_s)

    def gauge(self, circuits: Mapping[str, str]) -> None:
        """How the circuits stand now, by model."""
        self._circuit.clear()
        for model, now in circuits.items():
            for state in STATES:
                self._circuit.labels(model, state).set(state == now)
