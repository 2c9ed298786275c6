"""What the next request will take, learned from the last ones."""

from canteen.core.generation import EmbeddingRequest, GenerationRequest, SamplingParams
from canteen.runtime.pace import Pace, Ratio, Work

REQUEST = GenerationRequest("1", "m", prompt="x" * 400, sampling=SamplingParams(max_tokens=50))


def test_a_ratio_weighs_long_requests_more_and_forgets_slowly() -> None:
    ratio = Ratio()
    ratio.see(10.0, 1.0)
    ratio.see(100.0, 100.0)
    assert 1.0 < ratio() < 1.2

    for _ in range(200):
        ratio.see(4.0, 2.0)
    assert abs(ratio() - 2.0) < 0.01


def test_before_anything_was_measured_a_request_takes_no_known_time() -> None:
    pace = Pace()
    work = pace.expected(REQUEST)

    assert work == Work(prompt_tokens=100.0, completion_tokens=50.0)
    assert pace.service_s(work) == 0.0


def test_an_answer_is_expected_as_long_as_they_usually_are_and_no_longer_than_its_limit() -> None:
    pace = Pace()
    pace.tokens_per_answer.see(20.0, 1)

    assert pace.expected(REQUEST).completion_tokens == 20.0
    pace.tokens_per_answer.see(2000.0, 1)
    assert pace.expected(REQUEST).completion_tokens == 50.0


def test_a_service_is_its_prefill_and_the_gaps_between_its_tokens() -> None:
    pace = Pace()
    pace.prefill_s_per_token.see(1.0, 1000.0)
    pace.decode_s_per_token.see(1.0, 100.0)

    assert pace.service_s(Work(500.0, 51.0)) == 0.5 + 0.5


def test_token_ids_are_counted_and_characters_estimated() -> None:
    embedding = EmbeddingRequest("1", "m", ("x" * 40, (1, 2, 3)))

    assert Pace().expected(embedding) == Work(13.0)
