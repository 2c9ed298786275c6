"""Chat templates, as those who publish models write them."""

import pytest

from canteen.engines.chat_template import applied

MESSAGES = [{"role": "user", "content": "é"}]


def test_a_template_sees_what_it_is_given() -> None:
    template = "{{ bos_token }}{% for m in messages %}\n{{ m.content }}{% endfor %}"

    assert applied(template, {"messages": MESSAGES, "bos_token": "<s>"}) == "<s>é"


def test_json_in_it_is_not_escaped_for_pages() -> None:
    assert applied("{{ messages | tojson }}", {"messages": MESSAGES}) == (
        '[{"role": "user", "content": "é"}]'
    )


@pytest.mark.parametrize(
    "template",
    [
        "{% for %}",
        "{{ raise_exception('only one system message') }}",
        "{{ messages[5].content }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    ],
)
def test_what_cannot_be_applied_is_an_error(template: str) -> None:
    with pytest.raises(ValueError, match="template"):
        applied(template, {"messages": MESSAGES})
