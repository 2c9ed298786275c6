"""What is counted and timed, as Prometheus reads it: OpenTelemetry's names, vLLM's and ours."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    Metric,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.openmetrics import exposition as openmetrics

from canteen.core.footprint import Account, Receipt
from canteen.core.generation import Usage
from canteen.metering.abroad import Abroad
from canteen.metering.consumption import Consumption
from canteen.metering.recent import Recent

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4
# Only this one has room for exemplars.
OPEN_MEDIA_TYPE = openmetrics.CONTENT_TYPE_LATEST

# Boundaries of the OpenTelemetry GenAI conventions, and of vLLM where its names are used.
_DURATION_S = tuple(0.01 * 2**power for power in range(15))
_TTFT_S = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_PER_TOKEN_S = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5)
_TOKENS = tuple(4**power for power in range(14))
_VLLM_TTFT_S = (*_TTFT_S, 20, 40, 80, 160, 640, 2560)
_VLLM_PER_TOKEN_S = (*_PER_TOKEN_S, 5, 7.5, 10, 20, 40, 80)
_VLLM_PHASE_S = (
    0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680,
)  # fmt: skip
_VLLM_TOKENS = tuple(digit * 10**power for power in range(6) for digit in (1, 2, 5))

_GEN_AI = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")
_VLLM = ("model_name", "engine")
PROVIDER = "canteen"
# vLLM numbers the engines of a deployment; here each model has one.
ENGINE = "0"


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """A finished request. `aborted` says why it was cut short, if it was; `rejected` why it was
    not admitted; times in seconds, None where there was no such moment."""

    operation: str
    model: str
    duration_s: float
    usage: Usage = field(default_factory=Usage)
    finish_reason: str = ""
    error: str = ""
    rejected: str = ""
    aborted: str = ""
    num_tokens_wasted: int = 0
    ttft_s: float | None = None
    tpot_s: float | None = None
    deadline_slack_s: float | None = None
    retrying_client: str = ""
    receipt: Receipt | None = None
    trace_id: str = ""

    @property
    def exemplar(self) -> dict[str, str] | None:
        """What joins a latency with its trace and its receipt."""
        told = {"trace_id": self.trace_id, "receipt_id": self.receipt.id if self.receipt else ""}
        return {name: text for name, text in told.items() if text} or None


@dataclass(frozen=True, slots=True)
class ModelGauges:
    """A loaded model now; `kv_cache_usage` is a share of 1, `oldest_wait_s` the longest of those
    in the queue. `load_bytes` was resident just after loading, and `planned_bytes` is what was
    planned for that moment, 0 where nothing was. `circuit` is the state of an upstream's."""

    model: str
    num_running: int
    num_waiting: int
    kv_cache_usage: float
    memory_bytes: int
    oldest_wait_s: float
    load_bytes: int = 0
    planned_bytes: int = 0
    circuit: str = ""


class Metrics:
    """One registry of everything; one for a service, so that tests do not share theirs."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._open_telemetry = _OpenTelemetry(self._registry)
        self._vllm = _Vllm(self._registry)
        self._own = _Own(self._registry)
        self._models = _Models(self._registry)
        self._consumption = Consumption(self._registry)
        self.upstreams = Abroad(self._registry)
        self.recent = Recent()

    def record(self, request: RequestRecord) -> None:
        """Count a finished request."""
        self._open_telemetry.record(request)
        self._own.record(request)
        # Of a pool or a chain, the one that answered.
        model = request.receipt.model if request.receipt else request.model
        self.recent.answered(model, request.ttft_s, request.tpot_s)
        if request.usage.prompt_tokens and request.operation != "embeddings":
            self._vllm.record(request)
        if request.receipt is not None:
            self._consumption.record(request.receipt)

    def book(self, energy_uj: Mapping[Account, int], *, has_trouble: bool = False) -> None:
        """Count the energy that no request is charged for, by how the accounts stand, and tell
        whether the ledger has trouble keeping them."""
        self._consumption.book(energy_uj)
        self._consumption.trouble.set(has_trouble)

    def watch_audit(self, has_trouble: Callable[[], bool]) -> None:
        """Tell from now on whether the audit cannot be written."""
        self._own.audit_trouble.set_function(lambda: float(has_trouble()))

    def count_event(self, model: str, what: str, before: str | None) -> None:
        """Count what happened to a stored model: it was loaded or woken (`before` says why it was
        not there), its worker was restarted, or it fell asleep or left memory."""
        self._models.count_event(model, what, before)

    def tell_outbox_lag(self, lag_s: float) -> None:
        """Tell how long the oldest word waits that is to be sent to others."""
        self._own.outbox_lag.set(lag_s)

    def tell_deferred(self, num_waiting: int) -> None:
        """Tell how many requests wait to be answered in the background."""
        self._own.deferred.set(num_waiting)

    def count_replay(self) -> None:
        """Count a request that was answered with what was made for another."""
        self._own.replays.inc()

    def gauge(self, version: str, loaded: Sequence[ModelGauges]) -> None:
        """Have the gauges tell of this version and of the models loaded now."""
        self._own.build.info({"version": version})
        self._vllm.gauge(loaded)
        self._models.gauge(loaded)
        self.upstreams.gauge({model.model: model.circuit for model in loaded if model.circuit})

    def families(self) -> Iterable[Metric]:
        """Everything, as it was counted."""
        return list(self._registry.collect())

    def text(self, *, is_open: bool = False) -> bytes:
        """The exposition; as OpenMetrics, with receipts as exemplars, if `is_open`."""
        if is_open:
            told: bytes = openmetrics.generate_latest(self._registry)  # type: ignore[no-untyped-call]
            return told
        return generate_latest(self._registry)


class _OpenTelemetry:
    """Names of the OpenTelemetry GenAI conventions, dots and units as Prometheus has them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.duration = Histogram(
            "gen_ai_server_request_duration_seconds",
            "Arrival to the end of the answer",
            (*_GEN_AI, "error_type"),
            buckets=_DURATION_S,
            registry=registry,
        )
        self.ttft = Histogram(
            "gen_ai_server_time_to_first_token_seconds",
            "Arrival to the first byte of the answer, queueing included",
            _GEN_AI,
            buckets=_TTFT_S,
            registry=registry,
        )
        self.tpot = Histogram(
            "gen_ai_server_time_per_output_token_seconds",
            "Mean time between a request's tokens after the first",
            _GEN_AI,
            buckets=_PER_TOKEN_S,
            registry=registry,
        )
        self.tokens = Histogram(
            "gen_ai_client_token_usage",
            "Tokens of a request",
            (*_GEN_AI, "gen_ai_token_type"),
            buckets=_TOKENS,
            registry=registry,
        )

    def record(self, request: RequestRecord) -> None:
        labels = (request.operation, PROVIDER, request.model)
        exemplar = request.exemplar
        self.duration.labels(*labels, request.error).observe(request.duration_s, exemplar)
        if request.ttft_s is not None:
            self.ttft.labels(*labels).observe(request.ttft_s, exemplar)
        if request.tpot_s is not None:
            self.tpot.labels(*labels).observe(request.tpot_s, exemplar)
        if request.usage.prompt_tokens:
            self.tokens.labels(*labels, "input").observe(request.usage.prompt_tokens)
        if request.usage.completion_tokens:
            self.tokens.labels(*labels, "output").observe(request.usage.completion_tokens)


class _Vllm:
    """Names of vLLM, which routers, autoscalers and dashboards look for."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, meaning: str) -> Gauge:
            return Gauge(f"vllm:{name}", meaning, _VLLM, registry=registry)

        def counter(name: str, meaning: str, *more: str) -> Counter:
            return Counter(f"vllm:{name}", meaning, (*_VLLM, *more), registry=registry)

        def histogram(name: str, meaning: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"vllm:{name}", meaning, _VLLM, buckets=buckets, registry=registry)

        self.running = gauge("num_requests_running", "Sequences running")
        self.waiting = gauge("num_requests_waiting", "Requests waiting")
        self.kv_cache = gauge("kv_cache_usage_perc", "Share of the KV cache in use, 0 to 1")
        self.prompt_tokens = counter("prompt_tokens", "Prompt tokens read")
        self.generation_tokens = counter("generation_tokens", "Tokens generated")
        self.cache_queries = counter("prefix_cache_queries", "Tokens looked up in the cache")
        self.cache_hits = counter("prefix_cache_hits", "Tokens found in the cache")
        self.success = counter("request_success", "Finished requests", "finished_reason")
        self.ttft = histogram("time_to_first_token_seconds", "Time to first token", _VLLM_TTFT_S)
        self.tpot = histogram(
            "request_time_per_output_token_seconds",
            "Mean time between a request's tokens",
            _VLLM_PER_TOKEN_S,
        )
        self.e2e = histogram("e2e_request_latency_seconds", "Whole request", _VLLM_PHASE_S)
        self.queue = histogram("request_queue_time_seconds", "In the queue", _VLLM_PHASE_S)
        self.prefill = histogram("request_prefill_time_seconds", "In prefill", _VLLM_PHASE_S)
        self.decode = histogram("request_decode_time_seconds", "In decode", _VLLM_PHASE_S)
        self.inference = histogram("request_inference_time_seconds", "Running", _VLLM_PHASE_S)
        self.num_prompt = histogram("request_prompt_tokens", "Prompt tokens", _VLLM_TOKENS)
        self.num_generated = histogram(
            "request_generation_tokens", "Generated tokens", _VLLM_TOKENS
        )

    def record(self, request: RequestRecord) -> None:
        labels, usage = (request.model, ENGINE), request.usage
        self.prompt_tokens.labels(*labels).inc(usage.prompt_tokens)
        self.generation_tokens.labels(*labels).inc(usage.completion_tokens)
        self.cache_queries.labels(*labels).inc(usage.prompt_tokens)
        self.cache_hits.labels(*labels).inc(usage.cached_tokens)
        if request.finish_reason and not request.error:
            self.success.labels(*labels, request.finish_reason).inc()
        if request.ttft_s is not None:
            self.ttft.labels(*labels).observe(request.ttft_s)
        if request.tpot_s is not None:
            self.tpot.labels(*labels).observe(request.tpot_s)
        self.e2e.labels(*labels).observe(request.duration_s)
        self.queue.labels(*labels).observe(usage.queue_s)
        self.prefill.labels(*labels).observe(usage.prefill_s)
        self.decode.labels(*labels).observe(usage.decode_s)
        self.inference.labels(*labels).observe(usage.prefill_s + usage.decode_s)
        self.num_prompt.labels(*labels).observe(usage.prompt_tokens)
        self.num_generated.labels(*labels).observe(usage.completion_tokens)

    def gauge(self, loaded: Iterable[ModelGauges]) -> None:
        for gauge in (self.running, self.waiting, self.kv_cache):
            gauge.clear()
        for model in loaded:
            self.running.labels(model.model, ENGINE).set(model.num_running)
            self.waiting.labels(model.model, ENGINE).set(model.num_waiting)
            self.kv_cache.labels(model.model, ENGINE).set(model.kv_cache_usage)


class _Own:
    """What nobody else has a name for."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.queue_wait = Histogram(
            "llm_queue_wait_seconds", "Wait in our queue", buckets=_DURATION_S, registry=registry
        )
        self.rejected = Counter(
            "llm_admission_rejected", "Requests refused at the door", ("reason",), registry=registry
        )
        self.aborted = Counter(
            "llm_requests_aborted", "Requests cut short", ("cause",), registry=registry
        )
        self.wasted = Counter(
            "llm_tokens_wasted", "Tokens generated for nobody", ("cause",), registry=registry
        )
        self.retries = Counter(
            "llm_retry_requests", "Requests that repeat one", ("client",), registry=registry
        )
        self.replays = Counter(
            "llm_idempotency_replays",
            "Requests answered with what was made for an earlier one of the same key",
            registry=registry,
        )
        self.slack = Histogram(
            "llm_deadline_slack_seconds",
            "What was left of the caller's time at the end of an answer",
            buckets=_DURATION_S,
            registry=registry,
        )
        self.deferred = Gauge(
            "llm_deferred_requests_waiting",
            "Jobs, lines of batches and commands that nobody is at, of all gateways",
            registry=registry,
        )
        self.outbox_lag = Gauge(
            "llm_outbox_lag_seconds",
            "How long the oldest webhook or message waits to be sent",
            registry=registry,
        )
        self.audit_trouble = Gauge(
            "canteen_audit_trouble", "1 while the audit cannot be written", registry=registry
        )
        self.build = Info("build", "What runs here", registry=registry)

    def record(self, request: RequestRecord) -> None:
        if request.usage.prompt_tokens:
            self.queue_wait.observe(request.usage.queue_s)
        if request.deadline_slack_s is not None:
            self.slack.observe(request.deadline_slack_s)
        if request.rejected:
            self.rejected.labels(request.rejected).inc()
        if request.aborted:
            self.aborted.labels(request.aborted).inc()
            self.wasted.labels(request.aborted).inc(request.num_tokens_wasted)
        if request.retrying_client:
            self.retries.labels(request.retrying_client).inc()


class _Models:
    """What happens to models; many loads for the reason `evicted` are thrashing."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, meaning: str, *more: str) -> Counter:
            return Counter(f"llm_{name}", meaning, ("model", *more), registry=registry)

        self.loads = counter("model_loads", "Loads, by why it was not in memory", "reason")
        self.unloads = counter("model_unloads", "Models that left memory", "reason")
        self.restarts = counter("worker_restarts", "Workers that ended and were started again")
        self.memory = Gauge(
            "llm_model_memory_bytes", "Resident memory of the worker", ("model",), registry=registry
        )
        self.plan_error = Gauge(
            "canteen_plan_error_ratio",
            "Planned over resident memory of the worker just after loading",
            ("model",),
            registry=registry,
        )
        self.oldest = Gauge(
            "llm_queue_oldest_age_seconds",
            "How long the first in the queue has waited",
            ("model",),
            registry=registry,
        )

    def count_event(self, model: str, what: str, before: str | None) -> None:
        if what in ("loaded", "woken"):
            self.loads.labels(model, before or "first").inc()
        elif what == "restarted":
            self.restarts.labels(model).inc()
        else:
            self.unloads.labels(model, what).inc()

    def gauge(self, loaded: Iterable[ModelGauges]) -> None:
        self.memory.clear()
        self.oldest.clear()
        self.plan_error.clear()
        for model in loaded:
            if model.planned_bytes and model.load_bytes:
                ratio = model.planned_bytes / model.load_bytes
                self.plan_error.labels(model.model).set(ratio)
            self.memory.labels(model.model).set(model.memory_bytes)
            self.oldest.labels(model.model).set(model.oldest_wait_s)
