"""Filling in a form from a text of any length: a part at a time, and the answers made one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from canteen.core.generation import Grammar
from canteen.tasks.form import Form
from canteen.tasks.form_answers import Method, Quote, finished, grounded, merged
from canteen.tasks.grounding import Source
from canteen.tasks.model import GREEDY, Model
from canteen.tasks.sentences import Span
from canteen.tasks.template import Template
from canteen.tasks.typed_fields import fields
from canteen.tasks.windows import read

PROMPT = Template(
    "extract",
    1,
    system="You fill in a form from a text. Copy each value letter by letter from the text; "
    "use null for what the text does not say.\nForm: {{ schema }}",
    user="Text: {{ text }}",
)
MOST_TOKENS = 1_500


@dataclass(frozen=True, slots=True)
class Filled:
    """A form with quotes for its strings; how many strings the text does not have, and the
    parts of the text that no valid answer came for."""

    answer: Any
    num_lost: int
    unread: Sequence[Span]


async def fill(model: Model, text: str, form: Form, *, is_flagged: bool) -> Filled:
    """Fill in a form; strings that the text does not have stay where `is_flagged`.

    Raises InvalidOutput where what was found does not satisfy the schema.
    """

    async def part(window: Span) -> tuple[Any, int]:
        return await _part(model, Source(text, *window), form, is_flagged=is_flagged)

    parts, unread = await read(model, text, part)
    answer = finished(form, reduce(merged, (one for one, _ in parts)))
    return Filled(answer, sum(lost for _, lost in parts), unread)


async def _part(model: Model, source: Source, form: Form, *, is_flagged: bool) -> tuple[Any, int]:
    """The answer for a part, and how many strings of it the text does not have."""
    lost = 0

    def ground(said: str, method: Method) -> Quote | None:
        nonlocal lost
        places = source.places(said)
        if places:
            return Quote(source.text[places[0].start : places[0].end], places[0], method)
        lost += 1
        return Quote(said, None, method) if is_flagged else None

    def find(kind: str) -> list[str]:
        return [source.part[span.start : span.end] for span in fields(source.part, [kind])[kind]]

    completion = await model.write(
        PROMPT.messages(schema=json.dumps(form.schema, ensure_ascii=False), text=source.part),
        replace(GREEDY, max_tokens=MOST_TOKENS),
        Grammar("json_schema", json.dumps(form.asked(find))),
    )
    return grounded(form, json.loads(completion.text), ground), lost
