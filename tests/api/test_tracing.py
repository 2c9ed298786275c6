"""Traces: what spans there are, where they belong, when they end; and none unasked."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from canteen.api.app import create_app
from canteen.api.spans import Spans, Told, Traced
from canteen.api.streaming import json_bytes
from canteen.api.tracing import Tracing
from canteen.bootstrap import build
from canteen.core.upstream import Upstream
from canteen.runtime import remote
from canteen.runtime.catalog import Catalog
from canteen.settings import Settings
from tests.conftest import Serve
from tests.upstream import stand_in

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
CHAT = {"model": "echo", "messages": [{"role": "user", "content": "canary in the mine"}]}
QUESTION = "/v1/chat/completions"
# Of two clocks that are read one after the other, the process may be stopped in between.
A_MOMENT_NS = 1_000_000_000


class Seen:
    """What the tests see of a served request: its spans by name, and the log."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.lines: list[bytes] = []

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}

    @property
    def log(self) -> Any:
        return json.loads(self.lines[-1])


@pytest.fixture
def told() -> Seen:
    return Seen()


@pytest.fixture
async def asked(echo_home: Path, told: Seen) -> AsyncIterator[httpx.AsyncClient]:
    services = build(Settings(home=echo_home, default_model="echo"))
    spans = Spans(SimpleSpanProcessor(told.exporter))
    app = Tracing(create_app(services, told.lines.append), spans.add)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client
    await services.close()


def inside(inner: ReadableSpan, outer: ReadableSpan) -> bool:
    assert inner.parent is not None
    assert outer.start_time is not None
    assert outer.end_time is not None
    assert inner.start_time is not None
    assert inner.end_time is not None
    return (
        inner.parent.span_id == outer.context.span_id
        and outer.start_time - A_MOMENT_NS <= inner.start_time <= inner.end_time
        and inner.end_time <= outer.end_time + A_MOMENT_NS
    )


async def test_a_request_is_a_span_of_its_callers_trace_with_the_phases_in_it(
    asked: httpx.AsyncClient, told: Seen
) -> None:
    answer = await asked.post(QUESTION, json=CHAT, headers={"traceparent": PARENT})

    spans = told.spans
    server, model = spans[f"POST {QUESTION}"], spans["chat echo"]
    assert f"{server.context.trace_id:032x}" == TRACE
    assert server.parent is not None
    assert f"{server.parent.span_id:016x}" == "b7ad6b7169203331"
    assert inside(model, server)
    assert inside(spans["prefill"], model)
    assert inside(spans["decode"], model)
    assert spans["prefill"].end_time == spans["decode"].start_time
    assert answer.status_code == 200


async def test_the_names_are_those_of_the_conventions(asked: httpx.AsyncClient, told: Seen) -> None:
    await asked.post(QUESTION, json=CHAT, headers={"x-conversation-id": "rivers"})

    attributes = dict(told.spans["chat echo"].attributes or {})
    assert attributes.pop("gen_ai.response.time_to_first_chunk")
    assert attributes.pop("canteen.receipt.id")
    assert attributes.pop("gen_ai.response.id")
    assert attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "canteen",
        "gen_ai.request.model": "echo",
        "gen_ai.request.stream": False,
        "gen_ai.conversation.id": "rivers",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 4,
        "gen_ai.usage.output_tokens": 4,
    }


async def test_log_receipt_and_trace_join_by_their_ids(
    asked: httpx.AsyncClient, told: Seen
) -> None:
    answer = await asked.post(QUESTION, json=CHAT)

    server = told.spans[f"POST {QUESTION}"]
    attributes = server.attributes or {}
    assert told.log["trace_id"] == f"{server.context.trace_id:032x}"
    assert told.log["span_id"] == f"{server.context.span_id:016x}"
    assert attributes["canteen.request.id"] == told.log["request_id"]
    receipt = (told.spans["chat echo"].attributes or {})["canteen.receipt.id"]
    assert receipt == told.log["receipt_id"] == answer.headers["x-canteen-receipt"]


async def test_a_latency_has_its_trace_and_receipt_as_exemplar(
    asked: httpx.AsyncClient, told: Seen
) -> None:
    answer = await asked.post(QUESTION, json=CHAT, headers={"traceparent": PARENT})

    page = await asked.get("/metrics", headers={"accept": "application/openmetrics-text"})

    marked = [line for line in page.text.splitlines() if TRACE in line]
    assert {line.partition("{")[0] for line in marked} >= {
        "gen_ai_server_request_duration_seconds_bucket",
        "gen_ai_server_time_to_first_token_seconds_bucket",
    }
    assert all(answer.headers["x-canteen-receipt"] in line for line in marked)


async def test_an_upstream_is_asked_as_part_of_the_trace(
    asked: httpx.AsyncClient, told: Seen, echo_home: Path
) -> None:
    async with stand_in() as elsewhere:
        where = Upstream(elsewhere.base_url, "m")
        Catalog(echo_home).put(remote.upstream_card("upstream:a", where))
        headers = {"traceparent": PARENT, "baggage": "user=ada"}
        await asked.post(QUESTION, json={**CHAT, "model": "upstream:a"}, headers=headers)

    sent = elsewhere.asked[0].headers
    server = told.spans[f"POST {QUESTION}"]
    assert sent["traceparent"] == f"00-{TRACE}-{server.context.span_id:016x}-01"
    # What a caller tells its own services is nothing for somebody else's.
    assert "baggage" not in sent


async def test_a_span_ends_when_its_stream_does(asked: httpx.AsyncClient, told: Seen) -> None:
    await asked.post(QUESTION, json={**CHAT, "stream": True})

    server, model = told.spans[f"POST {QUESTION}"], told.spans["chat echo"]
    assert (model.attributes or {})["gen_ai.request.stream"] is True
    assert inside(model, server)
    assert (model.attributes or {})["gen_ai.usage.output_tokens"] == 4


async def test_a_refusal_is_told_and_no_failure_of_ours(
    asked: httpx.AsyncClient, told: Seen
) -> None:
    await asked.post(QUESTION, json={**CHAT, "model": "nobody"})

    server = told.spans[f"POST {QUESTION}"]
    assert (server.attributes or {})["error.type"] == "model_not_found"
    assert (server.attributes or {})["http.response.status_code"] == 404
    assert server.status.is_unset


async def test_a_problem_names_its_trace(asked: httpx.AsyncClient) -> None:
    answer = await asked.get("/v1/jobs/nobody", headers={"traceparent": PARENT})

    assert answer.json()["trace_id"] == TRACE


async def test_text_is_in_no_span_and_probes_are_not_traced(
    asked: httpx.AsyncClient, told: Seen
) -> None:
    await asked.post(QUESTION, json=CHAT)
    await asked.get("/health/live")
    await asked.get("/metrics")

    spans = told.exporter.get_finished_spans()
    names = {span.name for span in spans} - {"queue"}
    assert names == {f"POST {QUESTION}", "chat echo", "prefill", "decode"}
    assert not any("canary" in span.to_json() for span in spans)


def test_nothing_of_opentelemetry_is_loaded_where_no_traces_are_wanted(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from canteen.api.app import create_app\n"
        "from canteen.bootstrap import build\n"
        "from canteen.settings import Settings\n"
        f"create_app(build(Settings(home=pathlib.Path({str(tmp_path)!r}))))\n"
        "print([n for n in sys.modules if n.startswith('opentelemetry')])\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert done.stdout == "[]\n"


@pytest.fixture
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """A collector's address, and what it was sent."""
    sent: list[ExportTraceServiceRequest] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/v1/traces":
                sent.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", sent
        server.shutdown()


def test_a_server_sends_its_traces_to_a_collector_before_it_ends(
    serve: Serve, echo_home: Path, collector: tuple[str, list[ExportTraceServiceRequest]]
) -> None:
    url, sent = collector
    server = serve(echo_home, CANTEEN_OTLP_ENDPOINT=url, OTEL_SERVICE_NAME="lunch")
    httpx.post(f"{server.url}{QUESTION}", json=CHAT, headers={"traceparent": PARENT})

    assert server.stop() == 0

    resources = [one for request in sent for one in request.resource_spans]
    names = {pair.key: pair.value.string_value for pair in resources[0].resource.attributes}
    spans = [span for one in resources for scope in one.scope_spans for span in scope.spans]
    assert names["service.name"] == "lunch"
    assert {span.trace_id.hex() for span in spans if span.name == "chat echo"} == {TRACE}


def command_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_program_that_dies_while_it_sends_costs_no_answer(
    serve: Serve, echo_home: Path, collector: tuple[str, list[ExportTraceServiceRequest]]
) -> None:
    url, _ = collector
    server = serve(echo_home, CANTEEN_OTLP_ENDPOINT=url)
    sender = next(pid for pid in server.worker_pids() if b"canteen.api.spans" in command_of(pid))

    os.kill(sender, signal.SIGKILL)
    answers = [httpx.post(f"{server.url}{QUESTION}", json=CHAT) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200] * 3
    assert server.stop() == 0


def test_what_a_killed_gateway_told_is_sent(
    collector: tuple[str, list[ExportTraceServiceRequest]],
) -> None:
    url, sent = collector
    told = Traced(Told("POST", 1, 2), trace_id=TRACE, span_id="b7ad6b7169203331")
    line = json_bytes(told)
    program = [sys.executable, "-m", "canteen.api.spans", f"{url}/v1/traces"]

    subprocess.run(program, input=line + b"\n" + line[:20], check=True, timeout=60)

    spans = [
        span
        for request in sent
        for one in request.resource_spans
        for scope in one.scope_spans
        for span in scope.spans
    ]
    assert [(span.name, span.trace_id.hex()) for span in spans] == [("POST", TRACE)]
