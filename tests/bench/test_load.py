"""Prompts and arrivals: seeded, and of the size that was asked for."""

from itertools import islice, pairwise

import pytest

from canteen.bench.load import Load, poisson


def words(load: Load, number: int) -> list[str]:
    """All words of a request's prompt."""
    messages = load.body("m", number)["messages"]
    return " ".join(message["content"] for message in messages).split()


@pytest.mark.parametrize("num_words", [1, 128, 3000])
def test_a_prompt_has_the_words_that_were_asked_for(num_words: int) -> None:
    assert len(words(Load(prompt_tokens=num_words), 1)) == num_words


def test_the_same_seed_makes_the_same_prompts() -> None:
    assert words(Load(seed=7), 3) == words(Load(seed=7), 3)
    assert words(Load(seed=7), 3) != words(Load(seed=8), 3)


def test_prompts_differ_from_their_first_word_on() -> None:
    assert len({words(Load(), number)[0] for number in range(100)}) == 100


def test_a_shared_prefix_is_the_system_message_of_all() -> None:
    load = Load(prompt_tokens=100, shared_prefix_tokens=64)

    first, second = words(load, 1), words(load, 2)

    assert len(first) == 100
    assert first[:64] == second[:64]
    assert first[64] != second[64]


def test_a_field_beyond_openai_is_sent_only_if_wanted() -> None:
    assert Load().body("m", 1)["ignore_eos"] is True
    assert "ignore_eos" not in Load(ignore_eos=False).body("m", 1)


def test_poisson_arrivals_keep_the_rate_and_the_duration() -> None:
    arrivals_s = list(poisson(rate_per_s=50.0, duration_s=200.0, seed=1))

    assert len(arrivals_s) == pytest.approx(10_000, rel=0.03)
    assert arrivals_s == sorted(arrivals_s)
    assert arrivals_s[-1] < 200.0


def test_poisson_gaps_vary_as_much_as_their_mean() -> None:
    arrivals_s = list(poisson(rate_per_s=10.0, duration_s=1000.0, seed=2))
    gaps_s = [b - a for a, b in pairwise(arrivals_s)]
    mean_s = sum(gaps_s) / len(gaps_s)
    variance = sum((gap_s - mean_s) ** 2 for gap_s in gaps_s) / len(gaps_s)

    assert variance**0.5 == pytest.approx(mean_s, rel=0.05)


def test_the_same_seed_makes_the_same_arrivals() -> None:
    first, again, other = (islice(poisson(5.0, 100.0, seed), 50) for seed in (1, 1, 2))

    assert list(first) == list(again) != list(other)
