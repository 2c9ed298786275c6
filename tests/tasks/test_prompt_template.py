"""What a template of a stranger's can do: a prompt, soon and small, and nothing else."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.errors import InvalidRequest
from canteen.tasks.prompt_template import MOST_OUTPUT, PromptTemplate

# Far beyond the half second that a budget pays for, since machines are shared.
SOON_S = 10.0


def rendered(text: str, **values: Any) -> str:
    return PromptTemplate(text).render(values)


@pytest.mark.parametrize(
    ("text", "values", "made"),
    [
        ("Hello {{ name }}", {"name": "you"}, "Hello you"),
        ("{{ name | trim | upper }}", {"name": " a "}, "A"),
        ("{{ a ~ 1 ~ none ~ [true] }}", {"a": "x"}, "x1[true]"),
        ("{{ a + 'b' }} {{ 7 // 2 + 1.5 * 2 }}", {"a": "a"}, "ab 6.0"),
        ("{{ a }}|{{ b }}", {"a": None, "b": [1, "é"]}, '|[1, "é"]'),
        ("{{ a | tojson }}", {"a": "<&'>"}, '"<&\'>"'),
        ("{{ a.items }} {{ a['b'].c }}", {"a": {"items": 1, "b": {"c": 2}}}, "1 2"),
        ("{{ a | join(', ', attribute='n') }}", {"a": [{"n": 1}, {"n": 2}]}, "1, 2"),
        ("{{ a[1:] }}{{ a[-1] }}{{ 2 in a }}", {"a": [1, 2]}, "[2]2True"),
        ("{% for x in a %}{{ loop.index }}{{ x }}{% else %}no{% endfor %}", {"a": "ab"}, "1a2b"),
        ("{% for x in range(5) if x is odd %}{{ x }}{% endfor %}", {}, "13"),
        ("{% for k, v in a | items %}{{ k }}={{ v }}{% endfor %}", {"a": {"b": 1}}, "b=1"),
        ("{% set b = a | default('no') %}{{ b }}", {"a": "x"}, "x"),
        ("{{ 'yes' if a is string and a != 'b' else 'no' }}", {"a": "b"}, "no"),
        ("{% raw %}{{ a }}{% endraw %}{# no #}", {}, "{{ a }}"),
    ],
)
def test_it_is_jinja(text: str, values: dict[str, Any], made: str) -> None:
    assert rendered(text, **values) == made


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_a_value_is_shown_as_it_is_and_never_read_as_a_template(value: str) -> None:
    assert rendered("<{{ a }}{% for one in [a] %}{{ one }}{% endfor %}>", a=value) == (
        f"<{value}{value}>"
    )


def test_a_value_with_jinja_in_it_is_only_text() -> None:
    value = "{{ 7 * 7 }}{% for x in range(9) %}x{% endfor %}{{ a.__class__ }}"

    assert rendered("{{ a }}", a=value) == value


def test_what_it_needs_is_known_with_its_lines() -> None:
    template = PromptTemplate(
        "{% set x = a %}\n{{ x }}{{ b }}\n{{ a }}{{ range(b) }}", first_line=5
    )

    assert template.names == {"a": 5, "b": 6}


@pytest.mark.parametrize(
    "text",
    [
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% from 'x' import y %}",
        "{% extends 'x' %}",
        "{% block x %}{% endblock %}",
        "{% macro x() %}{{ x() }}{% endmacro %}",
        "{% call x() %}{% endcall %}",
        "{% filter upper %}x{% endfilter %}",
        "{% set x %}y{% endset %}",
        "{% set x.y = 1 %}",
        "{% with x = 1 %}{% endwith %}",
        "{% autoescape true %}{% endautoescape %}",
        "{% for x in y recursive %}{{ loop(x) }}{% endfor %}",
        "{{ 'x'.upper() }}",
        "{{ '{:999999999}'.format(1) }}",
        "{{ namespace() }}",
        "{{ lipsum() }}",
        "{{ range(*a) }}",
        "{{ self }}",
        "{{ super() }}",
        "{{ caller() }}",
        "{{ 10 ** 9 }}",
        "{{ 'x' | center(999999999) }}",
        "{{ 'x' | format(1) }}",
        "{{ 'x' | indent(999999999) }}",
        "{{ 'x' | replace('x', 'xx') }}",
        "{{ 'x' | attr('__class__') }}",
        "{{ [1] | map('upper') }}",
        "{{ [1] | random }}",
        "{{ 'x' | upper(*a) }}",
        "{{ 1 is divisibleby 0 }}",
    ],
)
def test_what_may_not_stand_in_a_prompt_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^line 2: ") as refused:
        PromptTemplate(f"\n{text}")

    assert refused.value.param == "source"


@pytest.mark.parametrize(
    "text",
    [
        "{{ a",
        "{% if a %}",
        "{% nothing %}",
        "{{ 'a }}",
        "{{ " + "(" * 20_000,
        "{{ " + "-" * 20_000 + "1 }}",
        "{{ a" + ".b" * 20_000 + " }}",
        "{{ a" + " or a" * 10_000 + " }}",
        "{% if a %}" * 90 + "{% endif %}" * 90,
        "{% for b in a %}" * 25 + "{% endfor %}" * 25,
        "{{ " + "9" * 50_000 + " }}",
        "{{ {{" * 10_000,
        "{# " * 20_000,
        "a" * 70_000,
    ],
)
def test_what_is_no_template_is_refused_soon(text: str) -> None:
    started_s = time.monotonic()

    with pytest.raises(InvalidRequest, match=r"^line \d+: "):
        PromptTemplate(text)
    assert time.monotonic() - started_s < SOON_S


LOOPS = "{% for a in range(99999) %}" * 5 + "x" + "{% endfor %}" * 5
TWICE = "{% set x = [x, x] %}{% set y = [y, y] %}" * 60
DOUBLED = "{% set x = ['a'] %}{% set y = ['a'] %}" + TWICE


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'x' * 1000000000 }}",
        "{{ [1] * 1000000000 }}",
        "{{ '%1000000000d' % 1 }}",
        "{% set x = 'ab' %}" + "{% set x = x ~ x %}" * 60 + "{{ x }}",
        "{% set x = 'ab' %}" + "{% set x = x + x %}" * 60 + "{{ x }}",
        "{% set x = ['a'] %}" + "{% set x = x + x %}" * 60 + "{{ x }}",
        "{% set x = 99 %}" + "{% set x = x * x %}" * 60 + "{{ x }}",
        "{% set x = [long] %}" + "{% set x = [x | join(long)] %}" * 60 + "{{ x }}",
        DOUBLED + "{{ x }}",
        DOUBLED + "{{ x == y }}",
        DOUBLED + "{{ x | tojson }}",
        DOUBLED + "{{ x | string }}",
        DOUBLED + "{% for a in x %}{{ a }}{% endfor %}",
        LOOPS,
        "{% for a in range(1000000000) %}{% endfor %}",
        "{% for a in range(99999) %}{{ long }}{% endfor %}",
        "{{ [long, long] | join(long * 1) }}",
        "{{ many | join(long) }}",
        "{{ many | sort(attribute=dots) }}",
        "{{ long | trim(long) }}",
        "{{ 1.5 | round(1000000000, 'ceil') }}",
        "{{ 1.5 | round(method='ceil', precision=1000000000) }}",
    ],
)
def test_an_attack_on_time_or_memory_is_refused_soon(text: str) -> None:
    values = {"long": "ab" * 100_000, "many": ["a"] * 9_000, "dots": "0." * 20_000 + "0"}
    started_s = time.monotonic()

    with pytest.raises(InvalidRequest, match="cannot be made of these inputs") as refused:
        rendered(text, **values)
    assert time.monotonic() - started_s < SOON_S
    assert len(refused.value.message) < 300


@pytest.mark.parametrize(
    "text",
    [
        "{{ a.__class__ }}",
        "{{ a['__class__'] }}",
        "{{ b.keys }}",
        "{{ b['pop'] }}",
        "{{ c | join(attribute='__class__') }}",
        "{{ c | max(attribute='__class__.__mro__') }}",
        "{{ range.__self__ }}",
        "{{ range }}",
        "{% for x in c %}{{ loop.__class__ }}{% endfor %}",
        "{% for x in c %}{{ loop.cycle }}{% endfor %}",
        "{% for x in c %}{{ loop }}{% endfor %}",
        "{% for x in c %}{% for y in loop %}{{ y }}{% endfor %}{% endfor %}",
        "{% for x in c %}{{ [loop] | tojson }}{% endfor %}",
        "{{ b.missing }}",
        "{{ a[99] }}",
        "{{ a - 1 }}",
        "{{ 1 / 0 }}",
        "{{ c | sort }}",
        "{{ a | list }}",
        "{% for x in 1 %}{% endfor %}",
        "{{ '\\ud800' }}",
    ],
)
def test_what_is_not_there_or_is_python_s_own_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="cannot be made of these inputs"):
        rendered(text, a="a", b={"c": 1}, c=["x", 1])


def test_a_prompt_has_a_longest_length() -> None:
    half = "a" * (MOST_OUTPUT // 2)

    assert len(rendered("{{ a }}{{ a }}", a=half)) == MOST_OUTPUT
    with pytest.raises(InvalidRequest, match="longer than"):
        rendered("{{ a }}{{ a }}!", a=half)


def test_a_value_that_goes_round_in_circles_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)

    with pytest.raises(InvalidRequest, match="too long"):
        rendered("{{ a }}", a=circle)


def test_each_rendering_has_a_budget_of_its_own() -> None:
    template = PromptTemplate("{% for x in range(90000) %}{% endfor %}{{ a }}")

    assert [template.render({"a": number}) for number in range(5)] == ["0", "1", "2", "3", "4"]
