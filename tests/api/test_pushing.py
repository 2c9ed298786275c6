"""A collector is pushed everything that /metrics tells, in the names of OpenTelemetry."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from canteen.api.app import create_app
from canteen.bootstrap import build
from canteen.settings import Settings

CHAT = {"model": "echo", "messages": [{"role": "user", "content": "one two three"}]}


class Collector:
    """Keeps the metrics that are sent to it."""

    def __init__(self) -> None:
        self.got: list[ExportMetricsServiceRequest] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.path == "/v1/metrics":
                    collector.got.append(ExportMetricsServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def last(self) -> dict[str, Any]:
        """The metrics that came last, by their names."""
        (resource,) = self.got[-1].resource_metrics
        (scope,) = resource.scope_metrics
        return {metric.name: metric for metric in scope.metrics}


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.server.shutdown()
    made.server.server_close()


def attributes(point: Any) -> dict[str, str]:
    return {one.key: one.value.string_value for one in point.attributes}


async def test_what_was_counted_is_pushed_at_the_end_in_its_names(
    echo_home: Path, collector: Collector
) -> None:
    services = build(Settings(home=echo_home, otlp_endpoint=collector.url))
    app = create_app(services, lambda line: None)
    app.start()
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for _ in range(3):
            await client.post("/v1/chat/completions", json=CHAT)
        page = (await client.get("/metrics")).text
    await app.stop()
    await services.close()
    app.close()

    metrics = collector.last
    (duration,) = metrics["gen_ai.server.request.duration"].histogram.data_points
    assert metrics["gen_ai.server.request.duration"].unit == "s"
    assert duration.count == sum(duration.bucket_counts) == 3
    assert len(duration.bucket_counts) == len(duration.explicit_bounds) + 1
    assert duration.sum > 0
    told = attributes(duration)
    assert told["gen_ai.operation.name"] == "chat"
    assert told["gen_ai.request.model"] == "echo:latest"
    tokens = metrics["gen_ai.client.token.usage"].histogram.data_points
    assert {attributes(point)["gen_ai.token.type"] for point in tokens} == {"input", "output"}
    energy = metrics["llm_energy_joules"].sum
    assert energy.is_monotonic
    assert sum(point.as_double for point in energy.data_points) > 0
    (running,) = metrics["vllm:num_requests_running"].gauge.data_points
    assert running.as_double == 0
    assert names(page) <= {name.replace(".", "_") for name in metrics} | RENAMED


# Without their units, which OpenTelemetry has apart.
RENAMED = {
    f"gen_ai_server_{name}_seconds"
    for name in ("request_duration", "time_to_first_token", "time_per_output_token")
}


def names(page: str) -> set[str]:
    """The families of an exposition that have a sample, as their type lines name them."""
    lines = page.splitlines()
    kinds = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    samples = "\n".join(line for line in lines if not line.startswith("#"))
    return {name.removesuffix("_total") for name in kinds if name in samples}


async def test_nothing_is_pushed_where_nobody_is_named(echo_home: Path) -> None:
    services = build(Settings(home=echo_home))
    app = create_app(services, lambda line: None)

    assert app.pusher is None
    await services.close()
