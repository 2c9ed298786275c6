"""A value of another type is refused by the name of its field, as one beyond its limits is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from canteen.core.asking import asked, check
from canteen.core.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Order:
    """A dish to be ordered."""

    name: str = asked("What it is called.", "")
    plates: int = asked("How many.", 1, least=1, most=9)
    litres: float | None = asked("How much.", least=0, most=2)
    hot: bool = asked("Whether it is hot.", False)
    with_it: tuple[str, ...] = asked("What comes with it.", ("salt",))
    size: Literal["small", "large"] = asked("How large.", "small", choices=("small", "large"))
    notes: Mapping[str, str] | None = asked("What else.")

    def __post_init__(self) -> None:
        check(self)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", 5, "name must be a text, not 5"),
        ("name", None, "name must be a text, not null"),
        ("name", ["a"], "name must be a text, not a list"),
        ("plates", "3", "plates must be a whole number, not '3'"),
        ("plates", 2.5, "plates must be a whole number, not 2.5"),
        ("plates", True, "plates must be a whole number, not true"),
        ("plates", None, "plates must be a whole number, not null"),
        ("plates", 10, "plates must be from 1 to 9, not 10"),
        ("litres", "1", "litres must be a number, not '1'"),
        ("litres", float("nan"), "litres must be from 0 to 2, not nan"),
        ("hot", "false", "hot must be true or false, not 'false'"),
        ("hot", 0, "hot must be true or false, not 0"),
        ("with_it", "salt", "with_it must be a list of texts, not 'salt'"),
        ("with_it", ["salt", 3], "with_it must be a list of texts, not a list"),
        ("size", 3, "size must be a text, not 3"),
        ("size", "huge", "size must be one of small, large, not 'huge'"),
        ("notes", "none", "notes must be an object, not 'none'"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_field(
    field: str, value: Any, said: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Order(**{field: value})

    assert refused.value.param == field
    assert refused.value.message == said


def test_a_whole_number_is_a_number_and_a_list_is_taken_as_what_the_field_holds() -> None:
    told: dict[str, Any] = {"litres": 2, "with_it": ["salt", "oil"], "notes": {"a": "b"}}

    order = Order(**told)

    assert (order.litres, order.with_it) == (2, ("salt", "oil"))
    assert Order(litres=None, notes=None) == Order()
