"""Chat templates applied by Jinja, for engines whose library does not."""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

MOST_KNOWN = 16


def applied(template: str, values: Mapping[str, Any]) -> str:
    """The text of a template, which sees the values and nothing else of the program.

    Raises ValueError where it is no Jinja, or finds fault with what it is given.
    """
    try:
        return _compiled(template).render(values)
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as exc:
        raise ValueError("the template cannot be applied") from exc


@lru_cache(MOST_KNOWN)
def _compiled(template: str) -> Template:
    # As those who publish models try their templates.
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.filters["tojson"] = _as_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment.from_string(template)


def _as_json(value: Any, indent: int | None = None) -> str:
    """Unlike Jinja's own, not for a page of HTML."""
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(message: str) -> None:
    raise TemplateError(message)
