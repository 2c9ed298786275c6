"""Windows: exact slices that overlap, hold all of the text, and are none too long."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from canteen.tasks.windows import windows


@given(
    text=st.text(st.sampled_from("ab. \n東。"), max_size=3000),
    characters=st.integers(200, 600),
)
def test_windows_hold_all_of_a_text_and_go_on(text: str, characters: int) -> None:
    spans = list(windows(text, characters))

    assert spans[0].start == 0
    assert spans[-1].end == len(text)
    for one, other in pairwise(spans):
        assert one.start < other.start <= one.end < other.end
    assert all(span.end - span.start <= characters for span in spans)


def test_a_window_ends_with_a_sentence_where_it_can() -> None:
    text = "It rained all day in the village. " * 40

    spans = list(windows(text, 300))

    assert all(text[: span.end].rstrip().endswith("village.") for span in spans)
    assert all(span.start == 0 or text[span.start - 1] == " " for span in spans)


def test_text_without_blanks_is_cut_with_an_overlap() -> None:
    spans = list(windows("東" * 1000, 300))

    assert [tuple(span) for span in spans[:2]] == [(0, 300), (255, 555)]
