"""Metrics pushed to a collector by OTLP, where that is wanted: all that /metrics tells.

OpenTelemetry is imported only where they go somewhere. Its SDK has no instruments here: what is
counted once, for Prometheus, is told in its words.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from canteen.api.exposition import refresh
from canteen.api.spans import SERVICE, resource
from canteen.core.turns import Turns, guarded
from canteen.core.version import VERSION

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter, MetricsData
    from prometheus_client import Metric as Family

    from canteen.bootstrap import Services

EVERY_S = 60.0
# Names that OpenTelemetry has for what Prometheus cannot write so, with the unit.
_NAMES = {
    "gen_ai_server_request_duration_seconds": ("gen_ai.server.request.duration", "s"),
    "gen_ai_server_time_to_first_token_seconds": ("gen_ai.server.time_to_first_token", "s"),
    "gen_ai_server_time_per_output_token_seconds": ("gen_ai.server.time_per_output_token", "s"),
    "gen_ai_client_token_usage": ("gen_ai.client.token.usage", "{token}"),
}
_LABELS = {
    "gen_ai_operation_name": "gen_ai.operation.name",
    "gen_ai_provider_name": "gen_ai.provider.name",
    "gen_ai_request_model": "gen_ai.request.model",
    "gen_ai_token_type": "gen_ai.token.type",
    "error_type": "error.type",
}
_Labels = tuple[tuple[str, str], ...]


class Pusher:
    """Sends what `collect` gives every so often, and once more at the end."""

    def __init__(
        self,
        exporter: "MetricExporter",
        collect: Callable[[], Awaitable[Iterable["Family"]]],
        every_s: float = EVERY_S,
    ) -> None:
        self._exporter = exporter
        self._collect = collect
        self._began_ns = time.time_ns()
        self._turns = Turns(self.push, every_s, troubled_s=every_s)

    def start(self) -> None:
        """Begin to send."""
        self._turns.start()

    async def close(self) -> None:
        """Send what there is, and no more."""
        await self._turns.close()
        await guarded(self.push(), None)
        await asyncio.to_thread(self._exporter.shutdown)

    async def push(self) -> None:
        """Send once; what does not arrive is in what is sent next, since all of it is sums."""
        told = data(await self._collect(), self._began_ns, time.time_ns())
        await asyncio.to_thread(self._exporter.export, told)


def pusher(services: "Services") -> Pusher | None:
    """What pushes the metrics of a service to its collector; None where there is none. It has been
    seen before that OpenTelemetry is installed."""
    endpoint = services.settings.otlp_endpoint
    if not endpoint:
        return None
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    async def collect() -> Iterable["Family"]:
        await refresh(services)
        return services.metrics.families()

    return Pusher(OTLPMetricExporter(endpoint=f"{endpoint.rstrip('/')}/v1/metrics"), collect)


def data(families: Iterable["Family"], began_ns: int, now_ns: int) -> "MetricsData":
    """What Prometheus would be told, as OpenTelemetry has it; times are nanoseconds since 1970."""
    from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics, ScopeMetrics
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    metrics = [_metric(family, began_ns, now_ns) for family in families if family.samples]
    scope = ScopeMetrics(InstrumentationScope(SERVICE, VERSION), metrics, "")
    return MetricsData([ResourceMetrics(resource(), [scope], "")])


def _metric(family: "Family", began_ns: int, now_ns: int) -> Any:
    from opentelemetry.sdk.metrics.export import (
        AggregationTemporality,
        Gauge,
        Histogram,
        Metric,
        NumberDataPoint,
        Sum,
    )

    written = f"{family.name}_info" if family.type == "info" else family.name
    name, unit = _NAMES.get(written, (written, family.unit))
    summed = AggregationTemporality.CUMULATIVE
    if family.type == "histogram":
        points = [
            _histogram_point(labels, samples, began_ns, now_ns)
            for labels, samples in _by_labels(family).items()
        ]
        return Metric(name, family.documentation, unit, Histogram(points, summed))
    numbers = [
        NumberDataPoint(_attributes(sample.labels.items()), began_ns, now_ns, sample.value)
        for sample in family.samples
        if not sample.name.endswith("_created")
    ]
    is_counter = family.type == "counter"
    told = Sum(numbers, summed, is_monotonic=True) if is_counter else Gauge(numbers)
    return Metric(name, family.documentation, unit, told)


def _by_labels(family: "Family") -> Mapping[_Labels, Sequence[Any]]:
    """The samples of each histogram of a family."""
    found: dict[_Labels, list[Any]] = {}
    for sample in family.samples:
        labels = tuple((name, text) for name, text in sample.labels.items() if name != "le")
        found.setdefault(labels, []).append(sample)
    return found


def _histogram_point(labels: _Labels, samples: Sequence[Any], began_ns: int, now_ns: int) -> Any:
    """Prometheus counts what is below each bound, OpenTelemetry what is between two."""
    from opentelemetry.sdk.metrics.export import HistogramDataPoint

    below = {
        float(sample.labels["le"]): int(sample.value) for sample in samples if "le" in sample.labels
    }
    bounds = sorted(below)
    counts = [below[bound] for bound in bounds]
    between = [count - before for count, before in zip(counts, [0, *counts[:-1]], strict=True)]
    total = next((sample.value for sample in samples if sample.name.endswith("_sum")), 0.0)
    return HistogramDataPoint(
        attributes=_attributes(labels),
        start_time_unix_nano=began_ns,
        time_unix_nano=now_ns,
        count=counts[-1],
        sum=total,
        bucket_counts=between,
        explicit_bounds=bounds[:-1],
        # Nobody has kept them, and what is None is left out.
        min=None,  # type: ignore[arg-type]
        max=None,  # type: ignore[arg-type]
    )


def _attributes(labels: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {_LABELS.get(name, name): text for name, text in labels if text}
