"""A request in the names of OpenTelemetry's GenAI conventions, which are in development."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from canteen.api.observation import Observation
from canteen.metering.metrics import PROVIDER

OPERATION = "gen_ai.operation.name"
PROVIDER_NAME = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
STREAM = "gen_ai.request.stream"
CONVERSATION = "gen_ai.conversation.id"
RESPONSE_ID = "gen_ai.response.id"
FINISH_REASONS = "gen_ai.response.finish_reasons"
FIRST_CHUNK_S = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHED_TOKENS = "gen_ai.usage.cache_read.input_tokens"
ERROR_TYPE = "error.type"
# Ours: what joins a span with the log, the receipt and the audit.
REQUEST_ID = "canteen.request.id"
RECEIPT_ID = "canteen.receipt.id"
IS_GONE = "canteen.client.is_gone"

Value = str | bool | int | float | list[str]


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a request's time, on the clock of its observation."""

    name: str
    start_s: float
    end_s: float


def span_name(observe: Observation) -> str:
    """What the work of a model is called in a trace."""
    return f"{observe.operation} {observe.model}".strip()


def identity(observe: Observation) -> Mapping[str, Value]:
    """What samplers may ask for, so that it is there from the beginning."""
    return {
        OPERATION: observe.operation,
        PROVIDER_NAME: PROVIDER,
        REQUEST_MODEL: observe.model,
        STREAM: observe.is_streamed,
    }


def outcome(observe: Observation) -> Mapping[str, Value]:
    """How it ended; what there was not is left out."""
    usage = observe.usage
    told: dict[str, Value | None] = {
        CONVERSATION: observe.conversation_id,
        RESPONSE_ID: observe.request_id,
        FINISH_REASONS: [observe.finish_reason] if observe.finish_reason else None,
        FIRST_CHUNK_S: observe.ttft_s,
        INPUT_TOKENS: usage.prompt_tokens,
        OUTPUT_TOKENS: usage.completion_tokens or observe.num_tokens,
        CACHED_TOKENS: usage.cached_tokens,
        RECEIPT_ID: observe.receipt_id,
        ERROR_TYPE: observe.error_code,
    }
    return {name: value for name, value in told.items() if value}


def phases(observe: Observation, end_s: float) -> Iterator[Phase]:
    """Waiting, reading and writing, one after the other, none beyond the request. A request of
    several parts has them added up."""
    usage, arrived_s = observe.usage, observe.arrived_s
    read_s = observe.first_token_s
    if read_s is None:
        read_s = min(end_s, arrived_s + usage.queue_s + usage.prefill_s)
    begun_s = max(arrived_s, read_s - usage.prefill_s)
    wanted = (
        Phase("queue", max(arrived_s, begun_s - usage.queue_s), begun_s),
        Phase("prefill", begun_s, read_s),
        Phase("decode", read_s, min(end_s, read_s + usage.decode_s)),
    )
    spent = (usage.queue_s, usage.prefill_s, usage.decode_s)
    for phase, spent_s in zip(wanted, spent, strict=True):
        if spent_s > 0:
            yield phase
