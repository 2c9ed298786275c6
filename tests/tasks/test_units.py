"""Units of a text: all that is written in it, in order, and nothing of its marks and code."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from canteen.tasks.units import MOST_CHARACTERS, units

TEXT = """# A heading

First paragraph, which
has two lines.

- an item
- another *item*
  1. inner

```python
print("never rewritten")
```

> quoted words

12345
"""


def test_marks_code_and_numbers_stay_out() -> None:
    assert [TEXT[start:end] for start, end in units(TEXT)] == [
        "A heading",
        "First paragraph, which\nhas two lines.",
        "an item",
        "another *item*",
        "inner",
        "quoted words",
    ]


@given(st.text(st.sampled_from("ab .#-1\n`>"), max_size=80) | st.text(max_size=60))
def test_units_are_in_order_and_apart(text: str) -> None:
    spans = list(units(text))

    assert all(one.end <= other.start for one, other in pairwise(spans))
    assert all(any(letter.isalpha() for letter in text[start:end]) for start, end in spans)


def test_a_long_paragraph_is_in_pieces_that_miss_no_word() -> None:
    text = "It is so, said number {}. " * 300

    spans = list(units(text))

    assert all(end - start <= MOST_CHARACTERS for start, end in spans)
    assert " ".join(text[start:end] for start, end in spans) == text.strip()
