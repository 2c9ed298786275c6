"""Traces by OpenTelemetry, where that is wanted: a span for a request, which ends with its stream.

Pure ASGI, outside of the access log. OpenTelemetry is imported only where traces go somewhere.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from canteen.api import gen_ai
from canteen.api.observation import Observation
from canteen.api.sending import Sender
from canteen.api.spans import Told, Traced
from canteen.core.errors import InvalidRequest
from canteen.core.trace import STATE, Trace

if TYPE_CHECKING:
    from opentelemetry.context import Context

# In the scope of a request: its Trace.
TRACE = "canteen.trace"
# What nobody wants to see a trace of.
_UNTRACED = ("/health", "/healthz", "/ping", "/metrics")


@dataclass(frozen=True, slots=True)
class _Begun:
    """A request's place in a trace; `is_told` is whether somebody is to hear of it."""

    trace: Trace
    parent_id: str
    start_ns: int
    is_told: bool


class Tracing:
    """ASGI: tells of each request when it is over, and in it what the model did, by phase."""

    def __init__(self, app: ASGIApp, tell: Callable[[Traced], None]) -> None:
        # Now, and not with the first request.
        from opentelemetry.sdk.trace import TracerProvider

        # As OTEL_TRACES_SAMPLER says.
        self._sampler = TracerProvider(shutdown_on_exit=False).sampler
        self._tell = tell
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, traced."""
        if scope["type"] != "http" or scope["path"].startswith(_UNTRACED):
            await self._app(scope, receive, send)
            return
        begun = self._begin(scope)
        scope[TRACE] = begun.trace
        try:
            await self._app(scope, receive, send)
        finally:
            observe: Observation | None = scope.get("canteen.observe")
            if observe is not None and begun.is_told:
                self._tell(_traced(begun, scope, observe))

    def _begin(self, scope: Scope) -> _Begun:
        from opentelemetry import propagate, trace

        context = propagate.extract(dict(Headers(scope=scope)))
        above = trace.get_current_span(context).get_span_context()
        trace_id = above.trace_id if above.is_valid else random.getrandbits(128)
        span_id = random.getrandbits(64)
        decided = self._decided(context, trace_id, scope["method"])
        flags = trace.TraceFlags(int(decided.decision.is_sampled()))
        here = trace.SpanContext(trace_id, span_id, False, flags, decided.trace_state)
        passed: dict[str, str] = {}
        propagate.inject(passed, trace.set_span_in_context(trace.NonRecordingSpan(here)))
        return _Begun(
            Trace(trace.format_trace_id(trace_id), trace.format_span_id(span_id), passed),
            trace.format_span_id(above.span_id) if above.is_valid else "",
            time.time_ns(),
            decided.decision.is_sampled(),
        )

    def _decided(self, context: "Context", trace_id: int, method: str) -> Any:
        from opentelemetry.trace import SpanKind

        return self._sampler.should_sample(context, trace_id, method, SpanKind.SERVER)


def _traced(begun: _Begun, scope: Scope, observe: Observation) -> Traced:
    route = observe.pattern
    # One moment on two clocks: what is between them would move the model's spans.
    end_ns, end_s = time.time_ns(), observe.clock()
    attributes: dict[str, Any] = {
        "http.request.method": scope["method"],
        "url.path": scope["path"],
        "http.response.status_code": observe.status,
        gen_ai.REQUEST_ID: observe.request_id,
    }
    if route:
        attributes["http.route"] = route
    if observe.is_gone:
        attributes[gen_ai.IS_GONE] = True
    if observe.error_code:
        attributes[gen_ai.ERROR_TYPE] = observe.error_code
    is_failed = observe.status >= 500 or (observe.error_code and observe.status < 400)
    span = Told(
        f"{scope['method']} {route}" if route else scope["method"],
        begun.start_ns,
        end_ns,
        attributes,
        (observe.error_code or str(observe.status)) if is_failed else "",
        (_of_model(observe, end_ns, end_s),) if observe.operation else (),
    )
    here = begun.trace
    return Traced(span, here.trace_id, here.span_id, begun.parent_id, here.headers.get(STATE, ""))


def _of_model(observe: Observation, now_ns: int, now_s: float) -> Told:
    """What happened is told when it is over, with the times at which it did."""

    def at_ns(at_s: float) -> int:
        return now_ns - round((now_s - at_s) * 1e9)

    phases = tuple(
        Told(phase.name, at_ns(phase.start_s), at_ns(phase.end_s))
        for phase in gen_ai.phases(observe, now_s)
    )
    attributes = {**gen_ai.identity(observe), **gen_ai.outcome(observe)}
    return Told(
        gen_ai.span_name(observe), at_ns(observe.arrived_s), now_ns, attributes, inner=phases
    )


def sender(endpoint: str) -> Sender | None:
    """What sends traces to a collector over HTTP; None where there is no endpoint.

    Raises InvalidRequest where OpenTelemetry is not installed.
    """
    if not endpoint:
        return None
    try:
        import opentelemetry.exporter.otlp.proto.http
        import opentelemetry.sdk.trace  # noqa: F401
    except ImportError:
        raise InvalidRequest(
            "traces need OpenTelemetry: pip install 'canteen-llm[otel]', or unset "
            "CANTEEN_OTLP_ENDPOINT",
            param="CANTEEN_OTLP_ENDPOINT",
        ) from None
    return Sender(f"{endpoint.rstrip('/')}/v1/traces")
