"""Templates of the caller's own: the part of Jinja that may stand in a prompt, checked up front."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError, meta, nodes
from jinja2.environment import Template
from jinja2.exceptions import TemplateSyntaxError
from jinja2.visitor import NodeTransformer

from canteen.core.errors import InvalidRequest
from canteen.tasks.sandbox import ENVIRONMENT, FILTERS, TESTS

MOST_SOURCE = 64 << 10
MOST_OUTPUT = 1 << 20
MOST_DEPTH = 64
# Names that Jinja itself gives a meaning.
RESERVED = frozenset({"caller", "loop", "range", "self", "super", "varargs", "kwargs"})
# A scope is made of what is in it alone, as of autoescape, which is refused.
_STATEMENTS = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.For, nodes.If, nodes.Assign,
    nodes.Scope,
)  # fmt: skip
_EXPRESSIONS = (
    nodes.Name, nodes.Const, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Keyword,
    nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand, nodes.And, nodes.Or,
    nodes.Not, nodes.Neg, nodes.Pos, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv,
    nodes.Mod, nodes.Concat, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Call,
)  # fmt: skip
_WORDS: dict[type[nodes.Node], str] = {
    nodes.AssignBlock: "set … endset",
    nodes.CallBlock: "call",
    nodes.FilterBlock: "filter",
    nodes.FromImport: "import",
    nodes.NSRef: "namespace",
    nodes.Pow: "**",
    nodes.ScopedEvalContextModifier: "autoescape",
}
# What a template can do to values that do not suit it.
_FAILURES = (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError)


class PromptTemplate:
    """A template that was found harmless; `names` are the variables it needs, with their lines.

    Raises InvalidRequest with the line, counted from `first_line`, for one that is not.
    """

    def __init__(self, text: str, first_line: int = 1) -> None:
        self.first_line = first_line
        tree = self._parsed(text)
        self._check(tree)
        self.names = self._undeclared(tree)
        _Paying().visit(tree)
        try:
            code = ENVIRONMENT.compile(tree)
        except (SyntaxError, RecursionError, MemoryError, TemplateSyntaxError) as exc:
            raise self._error(1, "it is nested too deeply") from exc
        self._template = Template.from_code(ENVIRONMENT, code, ENVIRONMENT.globals)

    def render(self, values: Mapping[str, Any]) -> str:
        """The text; raises InvalidRequest where these values make none, or one too large."""
        try:
            text = "".join(_bounded(self._template.generate(values)))
            text.encode()
        except _FAILURES as exc:
            raise InvalidRequest(
                f"the prompt cannot be made of these inputs: {exc}", param="input"
            ) from exc
        return text

    def _parsed(self, text: str) -> nodes.Template:
        if len(text) > MOST_SOURCE:
            raise self._error(1, f"it is longer than {MOST_SOURCE:,} characters")
        try:
            return ENVIRONMENT.parse(text)
        except TemplateSyntaxError as exc:
            raise self._error(exc.lineno, str(exc.message)) from exc
        except RecursionError as exc:
            raise self._error(1, "it is nested too deeply") from exc
        except ValueError as exc:
            raise self._error(1, str(exc)) from exc

    def _check(self, tree: nodes.Template) -> None:
        level: list[nodes.Node] = [tree]
        for _ in range(MOST_DEPTH):
            for node in level:
                if problem := _problem(node):
                    raise self._error(node.lineno, problem)
            level = [child for node in level for child in node.iter_child_nodes()]
            if not level:
                return
        raise self._error(level[0].lineno, f"it is nested deeper than {MOST_DEPTH}")

    def _undeclared(self, tree: nodes.Template) -> dict[str, int]:
        undeclared = meta.find_undeclared_variables(tree) - ENVIRONMENT.globals.keys()
        lines: dict[str, int] = {}
        for node in tree.find_all(nodes.Name):
            if node.name in undeclared and node.ctx == "load":
                lines.setdefault(node.name, self.first_line - 1 + node.lineno)
        return lines

    def _error(self, line: int | None, problem: str) -> InvalidRequest:
        return wrong(self.first_line - 1 + (line or 1), problem)


def wrong(line: int, problem: str) -> InvalidRequest:
    """What is wrong with the source of a template, and where."""
    return InvalidRequest(f"line {line}: {problem}", param="source")


@lru_cache(maxsize=64)
def template(text: str, first_line: int = 1) -> PromptTemplate:
    """A template, made once."""
    return PromptTemplate(text, first_line)


def _problem(node: nodes.Node) -> str | None:
    """What is not allowed of a node."""
    kind = type(node)
    if kind not in _STATEMENTS + _EXPRESSIONS:
        return f"'{_WORDS.get(kind, kind.__name__.lower())}' is not allowed in a prompt"
    if isinstance(node, nodes.For) and node.recursive:
        return "'recursive' is not allowed in a prompt"
    if isinstance(node, nodes.Name) and node.name in RESERVED - {"loop", "range"}:
        return f"'{node.name}' is not allowed in a prompt"
    if isinstance(node, nodes.Call):
        return _problem_of_call(node)
    if isinstance(node, nodes.Filter) and node.name not in (*FILTERS, "tojson"):
        return f"no filter '{node.name}'; there are {', '.join(FILTERS)} and tojson"
    if isinstance(node, nodes.Test) and node.name not in TESTS:
        return f"no test '{node.name}'; there are {', '.join(TESTS)}"
    if isinstance(node, nodes.Call | nodes.Filter | nodes.Test) and (
        node.dyn_args or node.dyn_kwargs
    ):
        return "arguments with * are not allowed in a prompt"
    return None


def _problem_of_call(node: nodes.Call) -> str | None:
    if not isinstance(node.node, nodes.Name) or node.node.name != "range":
        return "only range(…) can be called; use a filter, as in {{ text | upper }}"
    if node.kwargs or node.dyn_args or node.dyn_kwargs:
        return "range takes one to three numbers"
    return None


class _Paying(NodeTransformer):
    """Has what Jinja does by itself go through filters of ours, which pay for it."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        size = sum(1 for _ in node.find_all(nodes.Node))
        self.generic_visit(node)
        node.iter = _filtered(node.iter, "for each", nodes.Const(size))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), "joined")

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        self.generic_visit(node)
        node.expr = _filtered(node.expr, "paid")
        for operand in node.ops:
            operand.expr = _filtered(operand.expr, "paid")
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            node.node = _filtered(node.node, "paid")
        return node


def _filtered(node: Any, name: str, *args: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, list(args), [], None, None, lineno=node.lineno)


def _bounded(pieces: Iterator[str]) -> Iterator[str]:
    length = 0
    for piece in pieces:
        length += len(piece)
        if length > MOST_OUTPUT:
            raise ValueError(f"it is longer than {MOST_OUTPUT:,} characters")
        yield piece
