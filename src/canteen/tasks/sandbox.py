"""A Jinja whose rendering always ends, soon and small, whatever template it is given.

Jinja's own sandbox keeps a template from Python's insides, not from taking for ever: here all that
is done for a template is paid from a budget.
"""

import json
import operator
from collections.abc import Callable, Iterator
from typing import Any

from jinja2 import StrictUndefined, Undefined, pass_context
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

# A character costs 1. What can be had for it all takes half a second.
BUDGET = 20_000_000
ITEM_COST = 20
MOST_INTEGER_BITS = 64
MOST_DIGITS = 20

FILTERS = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "int", "items",
    "join", "last", "length", "list", "lower", "max", "min", "reverse", "round", "sort", "string",
    "trim", "truncate", "unique", "upper",
)  # fmt: skip
TESTS = (
    "boolean", "defined", "even", "false", "mapping", "none", "number", "odd", "sequence",
    "string", "true", "undefined",
)  # fmt: skip
# What their arguments cost, they cost for each item.
_MULTIPLYING = ("join", "max", "min", "sort", "trim", "unique")
_OF_LISTS = ("join", "list", "max", "min", "sort", "unique")
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}


class _Purse(Context):
    """The context of one rendering, with what is left of its budget."""

    left = BUDGET

    def pay(self, cost: int) -> None:
        self.left -= cost
        if self.left < 0:
            raise ValueError("it takes too long; loop less, or over less")

    def pay_for(self, value: Any) -> int:
        """Pay for all that is in a value, however often it is in it; the cost."""
        before = self.left
        stack = [value]
        while stack:
            one = stack.pop()
            self.pay(_cost(one))
            if isinstance(one, list | tuple):
                stack.extend(one)
            elif isinstance(one, dict):
                stack.extend(one.keys())
                stack.extend(one.values())
        return before - self.left


def _cost(one: Any) -> int:
    """Of a value by itself; what is no JSON is refused."""
    if isinstance(one, str):
        return ITEM_COST + len(one)
    if isinstance(one, list | tuple | dict):
        return ITEM_COST * (1 + len(one))
    if isinstance(one, range):
        return ITEM_COST * (1 + len(one))
    if isinstance(one, int) and one.bit_length() > MOST_INTEGER_BITS:
        raise ValueError(f"a whole number has more than {MOST_INTEGER_BITS} bits")
    if one is None or isinstance(one, int | float | Undefined):
        return ITEM_COST
    raise TypeError(f"a {type(one).__name__} is no value of a prompt")


class _Strict(ImmutableSandboxedEnvironment):
    """A dot and brackets reach items, and nothing else of Python's."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, LoopContext):
            return super().getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        try:
            return obj[argument]
        except (TypeError, LookupError, AttributeError):
            return self.undefined(obj=obj, name=argument)


class _Environment(_Strict):
    context_class = _Purse
    intercepted_binops = frozenset((*_ARITHMETIC, "+", "**"))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        assert isinstance(context, _Purse)
        context.pay_for([left, right])
        if all(isinstance(one, int | float) for one in (left, right)):
            made = left + right if operator == "+" else _ARITHMETIC[operator](left, right)
        elif operator == "+" and type(left) is type(right):
            made = left + right
        else:
            raise TypeError(f"{operator} is for numbers; use ~ to join texts")
        context.pay_for(made)
        return made


@pass_context
def _shown(context: _Purse, value: Any) -> Any:
    """As it stands in the prompt: nothing for none, and JSON for lists and objects."""
    context.pay_for(value)
    if value is None:
        return ""
    return _to_json(context, value) if isinstance(value, list | tuple | dict | range) else value


@pass_context
def _to_json(context: _Purse, value: Any) -> str:
    context.pay_for(value)
    plain = list(value) if isinstance(value, range) else value
    return json.dumps(plain, ensure_ascii=False)


@pass_context
def _for_each(context: _Purse, value: Any, size: int) -> Any:
    if not isinstance(value, list | tuple | dict | str | range | Undefined):
        raise TypeError(f"a {type(value).__name__} is nothing to loop over")
    context.pay_for(value if isinstance(value, range) else None)
    context.pay(len(value) * size * ITEM_COST)
    return value


@pass_context
def _paid(context: _Purse, value: Any) -> Any:
    context.pay_for(value)
    return value


@pass_context
def _joined(context: _Purse, values: list[Any]) -> str:
    return "".join(str(_shown(context, value)) for value in values)


def _paying(name: str, raw: _Strict) -> Callable[..., Any]:
    """A filter of Jinja's, paid for in advance, whose result is one of the types of JSON."""

    @pass_context
    def paying(context: _Purse, value: Any, *args: Any, **kwargs: Any) -> Any:
        cost, others = context.pay_for(value), context.pay_for([*args, *kwargs.values()])
        if name in _MULTIPLYING:
            context.pay(cost * others // ITEM_COST)
        _check_arguments(name, value, [*args, *kwargs.values()])
        made = raw.call_filter(name, value, args, kwargs, context, context.eval_ctx)
        made = list(made) if isinstance(made, Iterator) else made
        context.pay_for(made)
        return made

    return paying


def _check_arguments(name: str, value: Any, arguments: list[Any]) -> None:
    if name in _OF_LISTS and isinstance(value, str):
        raise TypeError(f"{name} is for lists, not for texts")
    if name == "round" and any(isinstance(one, int) and one > MOST_DIGITS for one in arguments):
        raise ValueError(f"round is to {MOST_DIGITS} digits at most")


def _environment() -> _Environment:
    options: dict[str, Any] = {"undefined": StrictUndefined, "autoescape": False}
    raw = _Strict(**options)
    environment = _Environment(
        trim_blocks=True, lstrip_blocks=True, optimized=False, finalize=_shown, **options
    )
    environment.filters = {name: _paying(name, raw) for name in FILTERS} | {
        "tojson": _to_json,
        "for each": _for_each,
        "joined": _joined,
        "paid": _paid,
    }
    environment.tests = {name: raw.tests[name] for name in TESTS}
    environment.globals = {"range": raw.globals["range"]}
    return environment


ENVIRONMENT = _environment()
