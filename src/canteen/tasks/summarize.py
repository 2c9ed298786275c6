"""Summarization: what a text of any length says, in few sentences that the text bears out."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial

from canteen.core.asking import asked, check
from canteen.core.errors import CanteenError, ContextTooLong, InvalidRequest
from canteen.core.generation import SamplingParams, Usage
from canteen.tasks.batch import each
from canteen.tasks.central import central
from canteen.tasks.citing import Citation, cite
from canteen.tasks.documents import Document
from canteen.tasks.facts import Source, stems, words
from canteen.tasks.findings import Findings, num_sentences
from canteen.tasks.inputs import checked
from canteen.tasks.model import Model
from canteen.tasks.passages import MOST_CHARACTERS, passages
from canteen.tasks.sieve import Sieve
from canteen.tasks.template import Template

PROMPT = Template(
    "summarize",
    1,
    system="Summarize the text concisely and objectively in at most {{ length }}"
    "{% if audience %}, for {{ audience }}{% endif %}."
    "{% if focus %} Write about {{ focus }}.{% endif %}",
    user="{{ text }}",
)
DEFAULT_SENTENCES = 3
MOST_SENTENCES = 50
MOST_WORDS = 2_000
MOST_OPTION_CHARACTERS = 500
# Of each part of a text that is read in parts.
NOTE_SENTENCES = 2
# Parts of one text that are read at once; several texts may be at work beside it.
MOST_PARTS = 8
# What one reads at a time, of the context: a model loses its way in a full one.
CONTEXT_SHARE = 0.25
CHARACTERS_A_TOKEN = 3
LEAST_CHARACTERS = 400
TOKENS_A_SENTENCE = 48
TOKENS_A_WORD = 2.5
# Of the text written so far. One that counts the prompt too would shun the words of the text.
FREQUENCY_PENALTY = 0.2
# A part that is no longer stands for itself.
SHORT_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class SummarizeRequest:
    """A text or document, and how long a summary for whom."""

    text: str | Document
    words: int | None = asked("Words, at most.", least=5, most=MOST_WORDS)
    sentences: int | None = asked("Sentences, at most.", least=1, most=MOST_SENTENCES)
    bullets: int | None = asked("Bullet points, at most.", least=1, most=MOST_SENTENCES)
    focus: str | None = asked("What the summary is to be about.")
    audience: str | None = asked("Whom the summary is for.")
    citations: bool = asked("Tell for each sentence the passage that it rests on.", False)

    def __post_init__(self) -> None:
        check(self)
        if sum(one is not None for one in (self.words, self.sentences, self.bullets)) > 1:
            raise InvalidRequest("give one of words, sentences and bullets", param="words")
        for name in ("focus", "audience"):
            if len(getattr(self, name) or "") > MOST_OPTION_CHARACTERS:
                raise InvalidRequest(
                    f"{name} must have at most {MOST_OPTION_CHARACTERS} characters", param=name
                )

    @property
    def most_sentences(self) -> int:
        """Sentences or bullet points, at most."""
        if self.words is not None:
            return MOST_WORDS
        return self.sentences or self.bullets or DEFAULT_SENTENCES

    @property
    def length(self) -> str:
        """As the model is told it. Bullet points are made of sentences, which it writes better."""
        if self.words is not None:
            return f"{self.words} words"
        return num_sentences(self.most_sentences)

    @property
    def max_tokens(self) -> int:
        """Enough for the length."""
        if self.words is not None:
            return int(self.words * TOKENS_A_WORD) + TOKENS_A_SENTENCE
        return TOKENS_A_SENTENCE * (self.most_sentences + 1)


@dataclass(frozen=True, slots=True)
class Summarized:
    """A summary; the text was read in so many `parts`. `warnings` tell what the model wrote that
    was left out, and what the summary lacks."""

    text: str
    citations: tuple[Citation, ...] = ()
    parts: int = 1
    warnings: tuple[str, ...] = ()


async def summarize(model: Model, request: SummarizeRequest) -> Summarized:
    """Summarize a text or document; raises InvalidRequest."""
    document = request.text if isinstance(request.text, Document) else Document(request.text)
    source = checked(document.text)
    findings = Findings()
    room = await _room(model)
    parts = rest = [one.text for one in passages(document, characters=room)]
    while len(rest) > 1:
        noting = _notes(model, request, rest, findings)
        async with aclosing(noting) as notes:
            document = Document("\n\n".join([note async for note in notes]))
        rest = [one.text for one in passages(document, characters=room)]
    answer = await _final(model, request, rest[0], findings)
    citations = await cite(model, answer, source) if request.citations else []
    text = _laid_out(answer, request)
    warnings = _warnings(request, text, source, findings.told(len(parts)))
    return Summarized(text, tuple(citations), len(parts), tuple(warnings))


async def _room(model: Model) -> int:
    """Characters of a text that are read at once."""
    tokens = await model.context_length() * CONTEXT_SHARE
    return min(MOST_CHARACTERS, max(LEAST_CHARACTERS, int(tokens * CHARACTERS_A_TOKEN)))


async def _notes(
    model: Model, request: SummarizeRequest, parts: Sequence[str], findings: Findings
) -> AsyncGenerator[str]:
    """Of each part, in order, a summary that is at most half of it, or the part if it is short."""
    asking = replace(request, words=None, bullets=None, sentences=NOTE_SENTENCES)
    async with aclosing(
        each(parts, partial(_note, model, asking, findings), MOST_PARTS)
    ) as outcomes:
        async for outcome in outcomes:
            if isinstance(outcome, CanteenError):
                raise outcome
            yield outcome


async def _note(model: Model, request: SummarizeRequest, findings: Findings, part: str) -> str:
    if len(part) <= SHORT_CHARACTERS:
        return part
    kept = await _written(model, request, part, findings)
    if not kept:
        findings.quoted += 1
        kept = [part[start:end] for start, end in central(part, 1, request.focus or "")]
    note = " ".join(" ".join(one.split()) for one in kept)
    # What shrinks each time comes to an end.
    half = note[: len(part) // 2]
    return note if note == half else half.rpartition(" ")[0] or half


async def _final(
    model: Model, request: SummarizeRequest, text: str, findings: Findings
) -> list[str]:
    """The sentences of the summary, which are told as they are found to hold up."""
    said: list[str] = []

    def tell(sentence: str) -> None:
        before = _laid_out(said, request)
        said.append(sentence)
        model.on_text(_laid_out(said, request)[len(before) :])

    await _written(model, request, text, findings, tell)
    if not said:
        findings.quoted += 1
        for start, end in central(text, request.most_sentences, request.focus or ""):
            if not said or _fits([*said, text[start:end]], request):
                tell(" ".join(text[start:end].split()))
    return said


async def _written(
    model: Model,
    request: SummarizeRequest,
    text: str,
    findings: Findings,
    tell: Callable[[str], object] = lambda sentence: None,
) -> list[str]:
    """What of the model's summary holds up; of halves, where the text is too long for it."""
    sieve = Sieve(Source(text), request.most_sentences, request.words, tell)
    try:
        await _hear(model, request, text, sieve)
    except ContextTooLong:
        if len(text) <= LEAST_CHARACTERS:
            raise
        halves = passages(Document(text), characters=len(text) // 2 + 1)
        notes = [await _note(model, request, findings, half.text) for half in halves]
        return await _written(model, request, "\n\n".join(notes), findings, tell)
    findings.add(sieve)
    return sieve.kept


async def _hear(model: Model, request: SummarizeRequest, text: str, sieve: Sieve) -> None:
    messages = PROMPT.messages(
        text=text, length=request.length, focus=request.focus, audience=request.audience
    )
    sampling = SamplingParams(
        max_tokens=request.max_tokens, temperature=0.0, frequency_penalty=FREQUENCY_PENALTY
    )
    # The sieve hears the model, and tells the caller what it keeps.
    heard = replace(model, on_text=sieve.hear, usage=Usage())
    completion = await heard.write(messages, sampling, is_answer=True)
    model.usage += heard.usage
    sieve.close(is_whole=completion.choices[0].finish_reason != "length")


def _laid_out(answer: Sequence[str], request: SummarizeRequest) -> str:
    if request.bullets is not None:
        return "\n".join(f"- {one}" for one in answer)
    return " ".join(answer)


def _fits(answer: Sequence[str], request: SummarizeRequest) -> bool:
    return request.words is None or sum(len(words(one)) for one in answer) <= request.words


def _warnings(request: SummarizeRequest, text: str, source: str, left_out: list[str]) -> list[str]:
    """What a reader should know who takes the summary for the text's."""
    found = list(left_out)
    if len(text) >= len(source.strip()):
        found.append("the summary is no shorter than the text")
    if not _fits([text], request):
        found.append(f"the first sentence alone has more than {request.words} words")
    if request.focus and stems(request.focus).isdisjoint(stems(text)):
        found.append("the summary has no word of the focus")
    return found


def told(result: Summarized) -> str:
    """The summary, the passages that it rests on, and what to know about it."""
    lines = [result.text]
    lines += [
        f"[{number}] {one.start}-{one.end} ({one.similarity:.2f}) {' '.join(one.quote.split())}"
        for number, one in enumerate(result.citations, 1)
    ]
    return "\n".join([*lines, *(f"note: {one}" for one in result.warnings)])
