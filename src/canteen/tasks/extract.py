"""Extraction: entities of the caller's types, or the values of a JSON Schema, quoted by place."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from canteen.core.asking import asked, check
from canteen.core.errors import InvalidRequest, ModelNotFound
from canteen.tasks.entities import Claim, entities
from canteen.tasks.form import Form
from canteen.tasks.form_answers import Quote, leaves, plain
from canteen.tasks.form_filling import fill
from canteen.tasks.inputs import checked
from canteen.tasks.model import Model
from canteen.tasks.names import is_cased
from canteen.tasks.sentences import Span
from canteen.tasks.typed_fields import FINDERS, fields, kind_of, overlaps

# Names the prompts of entities.py and form_filling.py, which change together.
PROMPT_VERSION = "extract/1"
MOST_TYPES = 64
MOST_NAME = 100
MOST_ABOUT = 1_000

# Names of types, or what is said of each by name.
Types = list[str] | Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ExtractRequest:
    """A text, and either types of entities or a schema of values."""

    text: str
    types: Types | None = asked(  # noqa: RUF009 - it makes a field
        "What to find, as person or 'client=the firm that pays'; or descriptions by type.",
        None,
        flag="--type",
        expected="a list of texts, or an object of texts",
    )
    schema: Mapping[str, Any] | None = asked(
        "A JSON Schema whose strings are taken from the text, in place of types."
    )
    ungrounded: str = asked(
        "What becomes of values that do not occur in the text.", "drop", choices=("drop", "flag")
    )
    method: str | None = asked(
        "How types without a form of their own are found: names typed by the embedding model, or "
        "lists written by the language model. By default names, where letters have two cases.",
        choices=("embedding", "model"),
    )

    def __post_init__(self) -> None:
        check(self)
        if bool(self.types) == (self.schema is not None):
            raise InvalidRequest("give types, or a schema, and not both", param="types")
        if self.schema is not None:
            Form(self.schema)
        else:
            _check_types(_named(self.types or ()))

    @property
    def needs_embedder(self) -> bool:
        """Whether names may have to be typed by the embedding model."""
        names = [name for name, _ in _named(self.types or ())]
        return self.method != "model" and not all(map(kind_of, names))


def _named(types: Sequence[str] | Mapping[str, str]) -> list[tuple[str, str]]:
    """Each type with what is said of it, which may be nothing."""
    if isinstance(types, str):
        raise InvalidRequest("types are a list, or an object of descriptions", param="types")
    items = types.items() if isinstance(types, Mapping) else map(_parted, types)
    named = [(name, about) for name, about in items]
    if not all(isinstance(one, str) for pair in named for one in pair):
        raise InvalidRequest("types and their descriptions are texts", param="types")
    return [(name.strip(), about.strip()) for name, about in named]


def _parted(said: str) -> tuple[str, str]:
    name, _, about = str(said).partition("=")
    return name, about


def _check_types(named: Sequence[tuple[str, str]]) -> None:
    if len(named) > MOST_TYPES:
        raise InvalidRequest(
            f"there are {len(named)} types; {MOST_TYPES} are the most", param="types"
        )
    if not all(0 < len(name) <= MOST_NAME for name, _ in named):
        raise InvalidRequest(f"a type has a name of 1 to {MOST_NAME} characters", param="types")
    if any(len(about) > MOST_ABOUT for _, about in named):
        raise InvalidRequest(f"a description has up to {MOST_ABOUT:,} characters", param="types")
    ((often, count),) = Counter(name.lower() for name, _ in named).most_common(1)
    if count > 1:
        raise InvalidRequest(f"the type '{often}' is there {count} times", param="types")


@dataclass(frozen=True, slots=True)
class Found:
    """A quote: `text[start:end]`, in characters. `type` is the type, or with a schema the path
    (a JSON Pointer) of the value. One that was flagged is not in the text, and has no place."""

    type: str
    quote: str
    start: int | None
    end: int | None
    method: str


@dataclass(frozen=True, slots=True)
class Extracted:
    """What was found, in the order of the text, or of the schema.

    `methods` says how each type was looked for. `value` is the value of the schema, and
    `unquoted` the paths in it of what is not quoted: numbers, booleans, nulls, and choices from
    a list. `num_dropped` values were left out because the text does not have them. `unread` are
    the parts of the text, by start and end, for which the model gave no valid answer.
    """

    found: tuple[Found, ...]
    methods: dict[str, str] = field(default_factory=dict)
    value: Any = None
    unquoted: tuple[str, ...] = ()
    num_dropped: int = 0
    unread: tuple[Span, ...] = ()


async def extract(model: Model, request: ExtractRequest) -> Extracted:
    """Extract from a text; raises InvalidRequest, and InvalidOutput where nothing valid came."""
    text = checked(request.text)
    if request.schema is not None:
        return await _of_schema(model, text, request)
    return await _of_types(model, text, request)


async def _of_types(model: Model, text: str, request: ExtractRequest) -> Extracted:
    types = dict(_named(request.types or ()))
    kinds = {name: kind for name in types if (kind := kind_of(name))}
    others = {name: about for name, about in types.items() if name not in kinds}
    # What has a form of its own is no name, whether it was asked for or not.
    of_kind = await asyncio.to_thread(fields, text, FINDERS if others else kinds.values())
    found = [
        _found(name, text[span.start : span.end], span, "pattern")
        for name, kind in kinds.items()
        for span in of_kind[kind]
    ]
    method = request.method or ("embedding" if is_cased(text) else "model")
    claims, unread = await _claims(model, text, others, method) if others else ([], [])
    taken = sorted(span for spans in of_kind.values() for span in spans)
    found += _kept(claims, taken, method)
    lost = [_found(claim.type, claim.quote, None, method) for claim in claims if claim.span is None]
    is_flagged = request.ungrounded == "flag"
    return Extracted(
        tuple(sorted(found, key=_place)) + (tuple(lost) if is_flagged else ()),
        {name: "pattern" if name in kinds else method for name in types},
        num_dropped=0 if is_flagged else len(lost),
        unread=tuple(unread),
    )


async def _claims(
    model: Model, text: str, types: Mapping[str, str], method: str
) -> tuple[list[Claim], list[Span]]:
    try:
        return await entities(model, text, types, method)
    except ModelNotFound as exc:
        if method == "model":
            raise
        raise InvalidRequest(
            f"names are typed by the embedding model '{model.embedder}', which is not in the "
            f"store; run: canteen pull {model.embedder} (or ask for method model)",
            param="embedder",
        ) from exc


def _kept(claims: Iterable[Claim], taken: list[Span], method: str) -> Iterator[Found]:
    """The claims that stand in the text, each place once, apart from what is taken."""
    of_span: dict[Span, Claim] = {}
    for claim in claims:
        if claim.span is not None and not overlaps(claim.span, taken):
            of_span.setdefault(claim.span, claim)
    return (_found(one.type, one.quote, span, method) for span, one in of_span.items())


def _found(kind: str, quote: str, span: Span | None, method: str) -> Found:
    start, end = span or (None, None)
    return Found(kind, quote, start, end, method)


def _place(found: Found) -> tuple[int, int]:
    return found.start or 0, found.end or 0


async def _of_schema(model: Model, text: str, request: ExtractRequest) -> Extracted:
    form = Form(request.schema or {})
    is_flagged = request.ungrounded == "flag"
    filled = await fill(model, text, form, is_flagged=is_flagged)
    parts = list(leaves(filled.answer))
    return Extracted(
        tuple(
            _found(path, one.quote, one.span, one.method)
            for path, one in parts
            if isinstance(one, Quote)
        ),
        value=plain(filled.answer),
        unquoted=tuple(path for path, one in parts if not isinstance(one, Quote)),
        num_dropped=0 if is_flagged else filled.num_lost,
        unread=tuple(filled.unread),
    )


def told(result: Extracted) -> str:
    """A line for each quote, or the value as JSON."""
    if result.value is not None:
        return json.dumps(result.value, ensure_ascii=False)
    return "\n".join(f"{one.type}\t{one.quote}\t{_range(one)}" for one in result.found)


def _range(found: Found) -> str:
    return "not in the text" if found.start is None else f"{found.start}-{found.end}"
