"""Summaries: of any length, covering every section, and borne out by the text."""

import asyncio
import re
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import canteen
from canteen.core.errors import InvalidRequest
from canteen.tasks.documents import Document, read
from canteen.tasks.facts import words
from canteen.tasks.sentences import sentences
from canteen.tasks.summarize import Summarized, SummarizeRequest, summarize, told
from tests.tasks.speaking import Speaking, model_of

NEWS = (
    "The city council voted on Tuesday to close the old harbour bridge for eighteen months. "
    "Engineers found corrosion in four of its main cables. "
    "Mayor Helen Ortiz said that repairs would cost 48 million dollars. "
    "Ferries will run every ten minutes during rush hour. "
    "Shop owners near the bridge fear a loss of customers."
)


def run(models: Speaking, text: str | Document, **options: object) -> Summarized:
    request = SummarizeRequest(text, **options)  # type: ignore[arg-type]
    return asyncio.run(summarize(model_of(models), request))


def saying(text: str) -> Speaking:
    return Speaking(lambda messages: text)


def chapters(count: int, paragraphs: int = 6) -> str:
    return "\n\n".join(
        f"# Chapter{number}\n\n"
        + "\n\n".join(
            f"In section topic{number} the council talked about subject{number}x{place}. "
            f"Everyone agreed that matter{number}x{place} was important and had to be settled. " * 3
            for place in range(paragraphs)
        )
        for number in range(count)
    )


def test_a_summary_has_no_more_sentences_than_asked() -> None:
    result = run(Speaking(), NEWS, sentences=2)

    assert result.text == NEWS[: sentences(NEWS)[1].end]
    assert result.warnings == ()


def test_a_summary_has_no_more_words_than_asked() -> None:
    result = run(Speaking(), NEWS, words=30)

    assert 0 < len(words(result.text)) <= 30


def test_bullet_points_are_lines() -> None:
    result = run(Speaking(), NEWS, bullets=3)

    assert [line[:2] for line in result.text.splitlines()] == ["- "] * 3


def test_focus_and_audience_reach_the_model() -> None:
    models = Speaking()

    run(models, NEWS, focus="the ferries", audience="tourists")

    (asked,) = models.asked
    assert "the ferries" in asked.messages[0].content
    assert "tourists" in asked.messages[0].content
    assert asked.sampling.temperature == 0


def test_a_summary_without_a_word_of_the_focus_is_told_of() -> None:
    result = run(Speaking(), NEWS, sentences=1, focus="whales")

    assert "the summary has no word of the focus" in result.warnings


def test_what_the_text_does_not_say_is_left_out_and_told() -> None:
    result = run(saying("The bridge in Springfield opened in 1931. Ferries will run."), NEWS)

    assert result.text == "Ferries will run."
    assert any("1931, Springfield" in one for one in result.warnings)


@pytest.mark.parametrize("said", ["", "...", "I am a friendly assistant.", "Lorem ipsum " * 200])
def test_where_nothing_holds_up_the_text_is_quoted_and_that_is_told(said: str) -> None:
    result = run(saying(said), NEWS, sentences=2)

    assert len(sentences(result.text)) == 2
    assert all(result.text[start:end] in NEWS for start, end in sentences(result.text))
    assert any("held up" in one for one in result.warnings)


def test_a_summary_that_is_no_shorter_is_told_of() -> None:
    result = run(Speaking(), "Ferries will run every ten minutes.")

    assert "the summary is no shorter than the text" in result.warnings


def test_the_pieces_that_are_told_are_the_summary() -> None:
    heard: list[str] = []
    model = model_of(Speaking(), heard)

    result = asyncio.run(summarize(model, SummarizeRequest(chapters(30), bullets=3)))

    assert result.parts > 1
    assert "".join(heard) == result.text
    assert len(heard) == result.text.count("- ") > 1


def test_what_all_the_parts_took_is_added_up() -> None:
    models = Speaking()
    model = model_of(models)

    asyncio.run(summarize(model, SummarizeRequest(chapters(30))))

    read = sum(len(one.content.split()) for asked in models.asked for one in asked.messages)
    assert model.usage.prompt_tokens == read


def test_every_section_of_a_long_document_is_read_in_order() -> None:
    models = Speaking(context=1024)
    document = read(chapters(12).encode(), media_type="text/markdown")

    result = run(models, document)

    read_first = [asked.messages[-1].content for asked in models.asked[: result.parts]]
    found = re.findall(r"subject\d+x\d+", "\n".join(read_first))
    assert list(dict.fromkeys(found)) == [f"subject{n}x{p}" for n in range(12) for p in range(6)]
    assert all(len(set(re.findall(r"topic\d+", one))) == 1 for one in read_first)


def test_what_is_too_long_for_the_context_after_all_is_halved() -> None:
    # Here a token is a word of one letter: more tokens than its characters let expect.
    text = "\n\n".join(" ".join("abcdefgh"[number % 8] * 40) + "." for number in range(60))

    result = run(Speaking(context=600), text, sentences=1)

    assert result.text


def test_a_text_in_parts_is_not_asked_about_all_at_once() -> None:
    class Counting(Speaking):
        running = most = 0

        async def generate(self, request):  # type: ignore[no-untyped-def]
            self.running += 1
            self.most = max(self.most, self.running)
            await asyncio.sleep(0)
            async for chunk in super().generate(request):
                yield chunk
            self.running -= 1

    models = Counting(context=1024)

    run(models, chapters(40))

    assert 1 < models.most <= 8


def test_a_document_of_100_000_words_is_summarized_in_memory_that_does_not_grow() -> None:
    grown = []
    for count in (100, 440):
        text = chapters(count)
        tracemalloc.start()
        result = run(Speaking(lambda messages: messages[-1].content[:400]), text)
        grown.append(tracemalloc.get_traced_memory()[1] - 2 * len(text))
        tracemalloc.stop()

    assert len(text.split()) > 100_000
    assert result.parts > 100
    assert grown[1] < grown[0] + (4 << 20)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from(sentences(NEWS)), min_size=1, max_size=30),
    st.sampled_from(["\n\n", " ", "\n"]),
)
def test_citations_are_grounded(spans: Sequence[tuple[int, int]], between: str) -> None:
    text = between.join(NEWS[start:end] for start, end in spans)

    result = run(Speaking(), text, citations=True)

    assert [one.sentence for one in result.citations] == [
        result.text[start:end] for start, end in sentences(result.text)
    ]
    for one in result.citations:
        assert text[one.start : one.end] == one.quote
        assert one.similarity == pytest.approx(1.0, abs=1e-3)
        assert one.by == "embedding"


def test_without_an_embedder_citations_rest_on_words_and_say_so() -> None:
    said = "Repairs cost 48 million dollars. Ferries run every ten minutes."

    result = run(Speaking(lambda messages: said, can_embed=False), NEWS, citations=True)

    assert [one.by for one in result.citations] == ["words", "words"]
    assert [one.quote for one in result.citations] == [
        "Mayor Helen Ortiz said that repairs would cost 48 million dollars.",
        "Ferries will run every ten minutes during rush hour.",
    ]
    assert told(result).splitlines()[1].startswith("[1] ")


def test_the_same_text_gives_the_same_summary() -> None:
    assert run(Speaking(), chapters(20)) == run(Speaking(), chapters(20))


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"words": 10, "sentences": 2}, "words"),
        ({"sentences": 0}, "sentences"),
        ({"bullets": 51}, "bullets"),
        ({"words": 4}, "words"),
        ({"focus": "x" * 501}, "focus"),
        ({"audience": "x" * 501}, "audience"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        SummarizeRequest(NEWS, **options)  # type: ignore[arg-type]

    assert raised.value.param == param


@pytest.mark.parametrize("text", ["", " \n", "a\0b", "a\ud800b"])
def test_a_text_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        run(Speaking(), text)

    assert raised.value.param == "input"


def test_the_real_model_summarizes_a_text_that_bears_it_out(
    model_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANTEEN_HOME", str(model_home))

    with canteen.LLM() as llm:
        first = llm.summarize(NEWS, sentences=2, citations=True)
        again = llm.summarize(NEWS, sentences=2, citations=True)

    assert first == again
    assert 1 <= len(sentences(first.text)) <= 2
    assert "bridge" in first.text
    assert all(NEWS[one.start : one.end] == one.quote for one in first.citations)
    assert all(one.similarity > 0.5 for one in first.citations)
