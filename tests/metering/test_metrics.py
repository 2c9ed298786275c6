from canteen.core.generation import Usage
from canteen.metering.metrics import Metrics, ModelGauges, RequestRecord
from tests.metering.books import Books

USAGE = Usage(prompt_tokens=10, cached_tokens=4, completion_tokens=6, queue_s=0.5)


def text(metrics: Metrics, *loaded: ModelGauges) -> list[str]:
    metrics.gauge("1.2.3", loaded)
    return metrics.text().decode().splitlines()


def test_a_finished_chat_is_counted_under_all_names() -> None:
    metrics = Metrics()

    metrics.record(
        RequestRecord("chat", "m", 2.0, USAGE, finish_reason="stop", ttft_s=0.3, tpot_s=0.02)
    )

    lines = text(metrics)
    assert 'vllm:prompt_tokens_total{engine="0",model_name="m"} 10.0' in lines
    assert 'vllm:prefix_cache_hits_total{engine="0",model_name="m"} 4.0' in lines
    assert (
        'vllm:request_success_total{engine="0",finished_reason="stop",model_name="m"} 1.0' in lines
    )
    assert "llm_queue_wait_seconds_sum 0.5" in lines
    for name in (
        "gen_ai_server_request_duration_seconds",
        "gen_ai_server_time_to_first_token_seconds",
        "gen_ai_server_time_per_output_token_seconds",
    ):
        assert any(line.startswith(f"{name}_count") and line.endswith(" 1.0") for line in lines)


def test_embedding_is_not_generation() -> None:
    metrics = Metrics()

    metrics.record(RequestRecord("embeddings", "m", 0.1, Usage(prompt_tokens=3)))

    lines = text(metrics)
    assert not any(line.startswith("vllm:prompt_tokens_total{") for line in lines)
    assert any('gen_ai_operation_name="embeddings"' in line for line in lines)


def test_what_was_made_for_nobody_is_waste() -> None:
    metrics = Metrics()

    metrics.record(
        RequestRecord("chat", "m", 1.0, aborted="client_disconnect", num_tokens_wasted=7)
    )

    lines = text(metrics)
    assert 'llm_requests_aborted_total{cause="client_disconnect"} 1.0' in lines
    assert 'llm_tokens_wasted_total{cause="client_disconnect"} 7.0' in lines


def test_refusals_and_retries_are_counted() -> None:
    metrics = Metrics()

    metrics.record(
        RequestRecord(
            "chat", "m", 0.1, error="overloaded", rejected="overloaded", retrying_client="java"
        )
    )

    lines = text(metrics)
    assert 'llm_admission_rejected_total{reason="overloaded"} 1.0' in lines
    assert 'llm_retry_requests_total{client="java"} 1.0' in lines


def test_a_model_that_was_unloaded_leaves_the_gauges() -> None:
    metrics = Metrics()

    before = text(metrics, ModelGauges("m", 2, 1, 0.5, 7, 3.0))
    after = text(metrics)

    assert 'vllm:num_requests_waiting{engine="0",model_name="m"} 1.0' in before
    assert 'vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.5' in before
    assert 'llm_model_memory_bytes{model="m"} 7.0' in before
    assert 'llm_queue_oldest_age_seconds{model="m"} 3.0' in before
    assert not any(line.startswith("vllm:num_requests_waiting{") for line in after)
    assert not any(line.startswith("llm_model_memory_bytes{") for line in after)


def test_loads_say_why_the_model_was_not_in_memory() -> None:
    metrics = Metrics()

    metrics.count_event("m", "loaded", None)
    metrics.count_event("m", "restarted", "loaded")
    metrics.count_event("m", "evicted", "restarted")
    metrics.count_event("m", "loaded", "evicted")

    lines = text(metrics)
    assert 'llm_model_loads_total{model="m",reason="first"} 1.0' in lines
    assert 'llm_model_loads_total{model="m",reason="evicted"} 1.0' in lines
    assert 'llm_model_unloads_total{model="m",reason="evicted"} 1.0' in lines
    assert 'llm_worker_restarts_total{model="m"} 1.0' in lines


def test_the_version_is_told() -> None:
    assert 'build_info{version="1.2.3"} 1.0' in text(Metrics())


def test_how_soon_a_pool_answers_is_told_of_the_member_that_did() -> None:
    metrics = Metrics()

    receipt = Books().receipt(1, model="a:1")
    metrics.record(RequestRecord("chat", "big", 2.0, USAGE, ttft_s=0.3, receipt=receipt))

    assert metrics.recent.latencies("a:1")["ttft_s"] == {"p50": 0.3, "p95": 0.3}
    assert metrics.recent.latencies("big")["ttft_s"] is None
