"""Rewriting: order and marks kept, nothing lost in silence, and no harm done."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import canteen
from canteen.core.errors import InvalidRequest
from canteen.core.generation import Message
from canteen.tasks.preserving import found
from canteen.tasks.rewording import cleaned
from canteen.tasks.rewrite import RewriteRequest, Rewritten, rewrite, told
from tests.tasks.speaking import Speaking, model_of

TEXT = """# the bridge

we close the bridge for {days} days. dear %s, ask Ann Lee about it.

- it costs 48 coins
- mail `make x` to us

```
code stays
```
"""


def run(models: Speaking, text: str, **options: object) -> Rewritten:
    request = RewriteRequest(text, **options)  # type: ignore[arg-type]
    return asyncio.run(rewrite(model_of(models), request))


def doing(change: Callable[[str], str]) -> Speaking:
    """What is made of the text, before which may stand what is asked."""
    return Speaking(lambda messages: change(messages[-1].content.rpartition(": ")[2]))


def whole(result: Rewritten) -> tuple[str, str]:
    changes = result.diff
    return "".join(one.before for one in changes), "".join(one.after for one in changes)


def test_marks_code_and_spaces_stay_and_the_order_too() -> None:
    result = run(
        doing(lambda text: text.replace("the", "THE").replace("it ", "It ")), TEXT, tone="formal"
    )

    assert result.text == TEXT.replace("the", "THE").replace("- it", "- It")
    assert (result.lost, result.warnings) == ((), ())


def test_how_it_is_to_be_rewritten_reaches_the_model() -> None:
    models = Speaking()

    run(models, "Go on.", tone="formal", reading_level="a child", instruction="Use verbs.")
    run(models, "Go on.", translate="French")

    asked = models.asked[0].messages[-1].content
    translated = models.asked[-1].messages[0].content
    assert all(words in asked for words in ("formal tone", "a child", "Use verbs."))
    assert "into French" in translated


@settings(max_examples=40, deadline=None)
@given(st.text(st.sampled_from("ab .,{}#-1\n`"), max_size=60) | st.text(min_size=1, max_size=40))
def test_the_diff_is_of_both_texts(text: str) -> None:
    try:
        result = run(doing(lambda said: said.swapcase() + " so"), text, instruction="Shout.")
    except InvalidRequest:
        return

    assert whole(result) == (text, result.text)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_what_is_lost_is_put_back_or_told(data: st.DataObject) -> None:
    items = [one.text for one in found(TEXT)]
    dropped = data.draw(st.lists(st.sampled_from(items)))

    def drop(text: str) -> str:
        for one in dropped:
            text = text.replace(one, "it")
        return text

    for request in (RewriteRequest(TEXT, tone="formal"), RewriteRequest(TEXT, translate="French")):
        result = asyncio.run(rewrite(model_of(doing(drop)), request))
        gone = [one.text for one in found(TEXT, request.kinds)]
        told = [one.text for one in result.lost]
        assert all(one in result.text or one in told for one in gone)
        assert all(TEXT[one.start : one.end] == one.text for one in result.lost)


def test_a_sentence_whose_placeholder_is_lost_stands_as_it_was_and_the_others_do_not() -> None:
    text = "Hello dear friend. Pay {amount} now please."

    result = run(
        doing(lambda said: said.replace(" {amount}", "").upper()), text, instruction="Shout."
    )

    assert result.text == "HELLO DEAR FRIEND. Pay {amount} now please."
    assert result.lost == ()
    assert result.warnings == ("1 sentence is as before: the model left out what was to stay",)


def test_the_model_is_told_once_what_it_must_keep() -> None:
    def obedient(messages: Sequence[Message]) -> str:
        names = "Keep {amount}" in messages[-1].content
        return "Kindly pay {amount} now." if names else "Kindly pay now."

    result = run(Speaking(obedient), "pay {amount} now.", tone="polite")

    assert result.text == "Kindly pay {amount} now."
    assert (result.lost, result.warnings) == ((), ())


def test_what_a_translation_lost_is_told() -> None:
    result = run(doing(lambda said: "Payez maintenant."), "Pay {amount} now.", translate="French")

    assert result.text == "Payez maintenant."
    assert [(one.kind, one.text, one.start) for one in result.lost] == [
        ("placeholders", "{amount}", 4)
    ]
    assert "lost of placeholders: {amount}" in told(result)


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("", "nothing"),
        ("I am a helpful friend of whales.", "something else"),
        ("We close the bridge in 2022 at Springfield.", "added names or numbers"),
        ("We close the bridge, " * 8, "longer"),
        ("We close. We close.", "repeated"),
    ],
)
def test_what_the_model_makes_of_nothing_is_not_taken(said: str, fault: str) -> None:
    result = run(doing(lambda text: said), "we close the bridge.", tone="formal")

    assert result.text == "we close the bridge."
    assert fault in result.warnings[0]


def test_an_instruction_may_add_and_that_is_told() -> None:
    result = run(doing(lambda text: text + " Yours, Bo 12"), "We go.", instruction="Sign as Bo.")

    assert result.text == "We go. Yours, Bo 12"
    assert result.warnings == ("the model added what the text does not have: 12",)


@pytest.mark.parametrize(
    ("answer", "source", "expected"),
    [
        ("Here is the rewritten text:\n\nWe close.", "we close", "We close."),
        ('Sure! Here\'s a formal version: "We close."', "we close", "We close."),
        ("The corrected sentence is: We close.", "we close", "We close."),
        ("We close.\n\nNote: I changed it.", "we close", "We close."),
        ("Here is your key: x.", "here is you key: x", "Here is your key: x."),
        ('"So," he said.', '"so" he said', '"So," he said.'),
    ],
)
def test_what_the_model_says_about_its_answer_is_no_part_of_it(
    answer: str, source: str, expected: str
) -> None:
    assert cleaned(answer, source) == expected


def test_the_pieces_that_are_told_are_the_text() -> None:
    heard: list[str] = []
    models = doing(str.upper)

    result = asyncio.run(
        rewrite(
            model_of(models, heard), RewriteRequest(TEXT, instruction="Shout.", preserve=("code",))
        )
    )

    assert "".join(heard) == result.text
    assert len(heard) > 4


def test_a_long_text_is_rewritten_to_its_end() -> None:
    text = "\n\n".join(f"it is paragraph {number} of many." for number in range(2_000))

    result = run(doing(lambda said: said.replace("it is", "this is")), text, tone="formal")

    assert result.text == text.replace("it is", "this is")


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({}, "instruction"),
        ({"tone": " "}, "tone"),
        ({"tone": "x" * 2_001}, "tone"),
        ({"grammar_only": True, "tone": "formal"}, "grammar_only"),
        ({"tone": "formal", "preserve": ("verbs",)}, "preserve"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        RewriteRequest("x", **options)  # type: ignore[arg-type]

    assert raised.value.param == param


def test_an_empty_text_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        run(Speaking(), " ", tone="formal")


def test_the_real_model_corrects_and_leaves_alone_what_is_right(
    model_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANTEEN_HOME", str(model_home))
    right = "The bridge, which opened in 1931, carries many cars."

    with canteen.LLM() as llm:
        result = llm.rewrite(f"She go to school on Mondays. {right}", grammar_only=True)

    assert result.text == f"She goes to school on Mondays. {right}"
    assert [one.op for one in result.diff] == ["equal", "replace", "equal"]
