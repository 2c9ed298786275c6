"""Prompts as templates with a version."""

import jinja2
import pytest

from canteen.core.generation import Message
from canteen.tasks.template import Template

GREETING = Template("greet", 3, user="Hello {{ name }}!", system="Be kind.")


def test_a_template_is_named_with_its_version() -> None:
    assert GREETING.id == "greet/3"


def test_its_messages_are_filled_in() -> None:
    assert GREETING.messages(name="Ada") == (
        Message("system", "Be kind."),
        Message("user", "Hello Ada!"),
    )


def test_what_is_filled_in_is_not_read_as_a_template() -> None:
    (_, user) = GREETING.messages(name="{{ 1 + 1 }}")

    assert user.content == "Hello {{ 1 + 1 }}!"


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        GREETING.messages()
