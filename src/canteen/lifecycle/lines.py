"""What is wrong with the lines of a file, told by their numbers."""

from collections.abc import Iterable, Sequence

# Of so many the message says what is wrong with each; of all, where they are.
MOST_TOLD = 20


def told(broken: Sequence[tuple[int, str]]) -> str:
    """Numbers of lines and what is wrong with each, in order, as one phrase."""
    ordered = sorted(broken)
    first = "; ".join(f"line {number} {what}" for number, what in ordered[:MOST_TOLD])
    rest = in_ranges(number for number, _ in ordered[MOST_TOLD:])
    return f"{first}; and the lines {rest}" if rest else first


def in_ranges(numbers: Iterable[int]) -> str:
    """Numbers in order; those that follow one another as 3-7."""
    ranges: list[list[int]] = []
    for number in sorted(set(numbers)):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(f"{first}-{last}" if last > first else f"{first}" for first, last in ranges)
