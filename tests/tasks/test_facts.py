"""What a text says: numbers, names, words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.tasks.facts import Source, counted, names, stems


def test_numbers_are_known_in_words_and_in_digits() -> None:
    source = Source("It took eighteen months and cost 48 million dollars for 22,000 people.")

    lacking = source.lacks("In 18 months 22000 people paid 48,000,000 dollars, not 19.")

    assert lacking == ["19"]


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("forty-eight", "48"),
        ("two hundred and five", "205"),
        ("twenty-two thousand and one", "22001"),
        ("3.5 million", "3500000"),
        ("no number", None),
    ],
)
def test_words_count(said: str, value: str | None) -> None:
    assert counted(said) == ({value} if value else set())


def test_the_first_word_of_a_sentence_is_no_name() -> None:
    found = names("Ferries run on Tuesday. Mayor Helen Ortiz said so. The USA and I agree.")

    assert found == ["Tuesday", "Helen", "Ortiz", "USA"]


def test_names_that_the_source_does_not_have_are_told() -> None:
    source = Source("The council of the city voted, said Ortiz.")

    assert source.lacks("The council of San Francisco heard Ortiz's vote.") == ["San", "Francisco"]


def test_a_sentence_about_something_else_shares_little() -> None:
    source = Source("The bridge was closed because its cables were corroded.")

    assert source.share("The bridge closes, as cables corrode.") > 0.7
    assert source.share("Technology plays a significant role in society.") < 0.2
    assert source.share("橋が閉鎖されました") == 0.0


def test_words_of_scripts_without_spaces_are_compared_in_pairs() -> None:
    assert stems("東京駅") == {"東京", "京駅"}


@given(st.text(st.sampled_from("1٣².,: aA-'東"), max_size=20) | st.text(max_size=40))
def test_a_text_lacks_nothing_of_itself(text: str) -> None:
    assert Source(text).lacks(text) == []
    assert Source(text).share(text) == 1.0
