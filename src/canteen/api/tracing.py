"""Traces by OpenTelemetry, where that is wanted: a span for a request, which ends with its stream.

Pure ASGI, outside of the access log. OpenTelemetry is imported only where traces go somewhere.
"""

import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from canteen.api import gen_ai
from canteen.api.observation import Observation
from canteen.core.errors import InvalidRequest
from canteen.core.trace import Trace
from canteen.core.version import VERSION

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Span

logger = logging.getLogger(__name__)

# In the scope of a request: its Trace.
TRACE = "canteen.trace"
SERVICE = "canteen"
# What nobody wants to see a trace of.
_UNTRACED = ("/health", "/healthz", "/ping", "/metrics")
_LAST_WORDS_MS = 2000


class Traced:
    """ASGI: a SERVER span around each request, and in it what the model did, by phase."""

    def __init__(self, app: ASGIApp, processor: "SpanProcessor") -> None:
        # Now, and not with the first request.
        from opentelemetry.sdk.trace import TracerProvider

        self._provider = TracerProvider(resource=resource())
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("canteen", VERSION)
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, traced."""
        if scope["type"] != "http" or scope["path"].startswith(_UNTRACED):
            await self._app(scope, receive, send)
            return
        span = self._begin(scope)
        try:
            await self._app(scope, receive, send)
        finally:
            observe: Observation | None = scope.get("canteen.observe")
            if observe is not None and span.is_recording():
                self._tell(span, scope, observe)
            span.end()

    def close(self) -> None:
        """Send what is left, if that is soon done."""
        self._provider.force_flush(_LAST_WORDS_MS)
        self._provider.shutdown()

    def _begin(self, scope: Scope) -> "Span":
        from opentelemetry import propagate, trace

        above = propagate.extract(dict(Headers(scope=scope)))
        span = self._tracer.start_span(
            scope["method"],
            context=above,
            kind=trace.SpanKind.SERVER,
            attributes={"http.request.method": scope["method"], "url.path": scope["path"]},
        )
        passed: dict[str, str] = {}
        propagate.inject(passed, trace.set_span_in_context(span))
        told = span.get_span_context()
        scope[TRACE] = Trace(
            trace.format_trace_id(told.trace_id), trace.format_span_id(told.span_id), passed
        )
        return span

    def _tell(self, span: "Span", scope: Scope, observe: Observation) -> None:
        from opentelemetry.trace import Status, StatusCode

        route = getattr(scope.get("route"), "path", "")
        if route:
            span.update_name(f"{scope['method']} {route}")
            span.set_attribute("http.route", route)
        span.set_attribute("http.response.status_code", observe.status)
        span.set_attribute(gen_ai.REQUEST_ID, observe.request_id)
        if observe.is_gone:
            span.set_attribute(gen_ai.IS_GONE, True)
        if observe.error_code:
            span.set_attribute(gen_ai.ERROR_TYPE, observe.error_code)
        if observe.status >= 500 or (observe.error_code and observe.status < 400):
            span.set_status(Status(StatusCode.ERROR, observe.error_code))
        if observe.operation:
            self._tell_model(span, observe)

    def _tell_model(self, span: "Span", observe: Observation) -> None:
        """What happened is told when it is over, with the times at which it did."""
        from opentelemetry.trace import set_span_in_context

        now_s, now_ns = observe.clock(), time.time_ns()

        def begin(name: str, at_s: float, above: "Span", attributes: Mapping[str, Any]) -> "Span":
            return self._tracer.start_span(
                name,
                context=set_span_in_context(above),
                attributes=attributes,
                start_time=at_ns(at_s),
            )

        def at_ns(at_s: float) -> int:
            return now_ns - round((now_s - at_s) * 1e9)

        identity = gen_ai.identity(observe)
        model = begin(gen_ai.span_name(observe), observe.arrived_s, span, identity)
        for name, value in gen_ai.outcome(observe).items():
            model.set_attribute(name, value)
        for phase in gen_ai.phases(observe, now_s):
            part = begin(phase.name, phase.start_s, model, {})
            part.end(at_ns(phase.end_s))
        model.end(now_ns)


def resource() -> "Resource":
    """This service as OpenTelemetry names it: as its environment does, else as ours."""
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource

    told = Resource.create()
    ours = {"service.version": VERSION}
    if str(told.attributes[SERVICE_NAME]).startswith("unknown_service"):
        ours[SERVICE_NAME] = SERVICE
    return told.merge(Resource(ours))


def traced(app: ASGIApp, endpoint: str) -> "Traced | None":
    """Traces of an app, sent to a collector over HTTP; None where there is no endpoint.

    Raises InvalidRequest where OpenTelemetry is not installed.
    """
    if not endpoint:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise InvalidRequest(
            "traces need OpenTelemetry: pip install 'canteen-llm[otel]', or unset "
            "CANTEEN_OTLP_ENDPOINT",
            param="CANTEEN_OTLP_ENDPOINT",
        ) from None
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    return Traced(app, BatchSpanProcessor(exporter))
