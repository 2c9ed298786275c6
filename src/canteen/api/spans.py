"""Spans of requests that are over, made and sent by a program of its own.

Making the spans of a request and sending them takes a third of the time that answering it on a
small model does, and comes in bursts; in the process that answers, all requests would wait for it.
"""

import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import msgspec

from canteen.core.telemetry_off import switch_off
from canteen.core.version import VERSION

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.trace import Span, SpanContext

SERVICE = "canteen"
_LAST_WORDS_MS = 2000


class Told(msgspec.Struct, frozen=True):
    """A span that is over: times are nanoseconds since 1970, `inner` what happened in it. `error`
    is why it failed, if it did."""

    name: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, str | bool | int | float | list[str]] = {}
    error: str = ""
    inner: "tuple[Told, ...]" = ()


class Traced(msgspec.Struct, frozen=True):
    """The span of a request over HTTP and its place in a trace, in hexadecimal; `parent_id` is
    empty where the trace begins here."""

    span: Told
    trace_id: str
    span_id: str
    parent_id: str = ""
    state: str = ""


class Spans:
    """Gives each span to an OpenTelemetry processor."""

    def __init__(self, processor: "SpanProcessor") -> None:
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON

        class Ids(RandomIdGenerator):
            """Random ones, but for the span that a request was told to be."""

            told: tuple[int, int] | None = None

            def generate_trace_id(self) -> int:
                return self.told[0] if self.told else super().generate_trace_id()

            def generate_span_id(self) -> int:
                return self.told[1] if self.told else super().generate_span_id()

        self._ids = Ids()
        # It was decided where the request came in that this is one to tell of.
        self._provider = TracerProvider(
            ALWAYS_ON, resource(), shutdown_on_exit=False, id_generator=self._ids
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer(SERVICE, VERSION)

    def add(self, traced: Traced) -> None:
        """Tell of a request."""
        from opentelemetry.trace import SpanKind

        with self._being(traced):
            span = self._begin(traced.span, _above(traced), SpanKind.SERVER)
        self._finish(span, traced.span)

    def close(self) -> None:
        """Send what is left, if that is soon done."""
        self._provider.force_flush(_LAST_WORDS_MS)
        self._provider.shutdown()

    @contextmanager
    def _being(self, traced: Traced) -> Iterator[None]:
        self._ids.told = int(traced.trace_id, 16), int(traced.span_id, 16)
        try:
            yield
        finally:
            self._ids.told = None

    def _begin(self, told: Told, above: "Context", kind: Any = None) -> "Span":
        from opentelemetry.trace import SpanKind

        return self._tracer.start_span(
            told.name,
            context=above,
            kind=kind or SpanKind.INTERNAL,
            attributes=told.attributes,
            start_time=told.start_ns,
        )

    def _finish(self, span: "Span", told: Told) -> None:
        from opentelemetry.trace import Status, StatusCode, set_span_in_context

        for one in told.inner:
            self._finish(self._begin(one, set_span_in_context(span)), one)
        if told.error:
            span.set_status(Status(StatusCode.ERROR, told.error))
        span.end(told.end_ns)


def _above(traced: Traced) -> "Context":
    """Where the span of a request belongs."""
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, set_span_in_context

    if not traced.parent_id:
        return Context()
    return set_span_in_context(NonRecordingSpan(_parent(traced)), Context())


def _parent(traced: Traced) -> "SpanContext":
    from opentelemetry.trace import SpanContext, TraceFlags, TraceState

    return SpanContext(
        int(traced.trace_id, 16),
        int(traced.parent_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
        trace_state=TraceState.from_header([traced.state]),
    )


def resource() -> "Resource":
    """This service as OpenTelemetry names it: as its environment does, else as ours."""
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource

    told = Resource.create()
    ours = {"service.version": VERSION}
    if str(told.attributes[SERVICE_NAME]).startswith("unknown_service"):
        ours[SERVICE_NAME] = SERVICE
    return told.merge(Resource(ours))


def main() -> None:
    """Send the requests that come as lines of JSON on standard input to the collector that is
    named, until there are no more. It ends with its gateway, and not before it has drained."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    switch_off(os.environ, sys.modules)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    spans = Spans(BatchSpanProcessor(OTLPSpanExporter(endpoint=sys.argv[1])))
    decode = msgspec.json.Decoder(Traced).decode
    for line in sys.stdin.buffer:
        # The last line of a gateway that was killed may be half a line.
        with suppress(msgspec.DecodeError):
            spans.add(decode(line))
    spans.close()


if __name__ == "__main__":
    main()
