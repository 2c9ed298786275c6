"""Sentences as they are written: what is kept and what is not."""

from hypothesis import given
from hypothesis import strategies as st

from canteen.tasks.facts import Source
from canteen.tasks.sieve import Sieve, plain

TEXT = (
    "The council voted on Tuesday to close the bridge for eighteen months. "
    "Repairs will cost 48 million dollars. Ferries will run every ten minutes. "
    "Mayor Ortiz promised help to the owners of shops."
)


def kept(said: str, *, is_whole: bool = True, most_words: int | None = None) -> Sieve:
    sieve = Sieve(Source(TEXT), 3, most_words)
    sieve.hear(said)
    sieve.close(is_whole=is_whole)
    return sieve


def test_a_preamble_is_not_part_of_a_summary() -> None:
    sieve = kept("Here is a summary of the text:\n\nThe bridge will close for 18 months.")

    assert sieve.kept == ["The bridge will close for 18 months."]


def test_a_preamble_on_the_same_line_is_taken_off() -> None:
    assert plain("Sure! Here's a short summary: the bridge closes.") == "The bridge closes."
    assert plain("In summary, the bridge closes.") == "The bridge closes."
    assert plain("- The bridge closes.") == "The bridge closes."
    assert plain("Summary judgement was given.") == "Summary judgement was given."


def test_what_is_said_again_is_left_out() -> None:
    sieve = kept("Repairs cost 48 million dollars. The repairs will cost 48 million dollars.")

    assert sieve.kept == ["Repairs cost 48 million dollars."]
    assert sieve.faults == ["repeated"]


def test_what_the_text_does_not_tell_is_left_out() -> None:
    sieve = kept("The council of Springfield voted to close the bridge. Ferries will run in 2022.")

    assert sieve.kept == []
    assert sieve.faults == ["unfounded", "unfounded"]
    assert sieve.unfounded == ["Springfield", "2022"]


def test_a_sentence_about_something_else_is_left_out() -> None:
    sieve = kept("Technology plays a significant role in shaping modern society.")

    assert sieve.faults == ["off the text"]


def test_a_sentence_that_was_cut_is_left_out() -> None:
    sieve = kept("Ferries will run every ten minutes. Repairs will cost", is_whole=False)

    assert sieve.kept == ["Ferries will run every ten minutes."]
    assert sieve.faults == ["unfinished"]


def test_no_more_words_than_wanted_are_kept_but_one_sentence_is() -> None:
    said = "Ferries will run every ten minutes. Repairs will cost 48 million dollars."

    assert kept(said, most_words=8).kept == ["Ferries will run every ten minutes."]
    assert kept(said, most_words=3).kept == ["Ferries will run every ten minutes."]


@given(st.data())
def test_it_does_not_matter_in_what_pieces_the_text_comes(data: st.DataObject) -> None:
    said = "Here is a summary:\n- Repairs will cost 48 million.\n- Ferries run. Ortiz, e.g. spoke!"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(said)), max_size=8)))
    whole, pieces = Sieve(Source(TEXT), 5), Sieve(Source(TEXT), 5)

    whole.hear(said)
    for start, end in zip([0, *cuts], [*cuts, len(said)], strict=True):
        pieces.hear(said[start:end])
    whole.close(is_whole=True)
    pieces.close(is_whole=True)

    assert pieces.kept == whole.kept
