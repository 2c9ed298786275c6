"""Sizes of functions and modules, read from their syntax trees."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

SOURCE = Path(__file__).parents[2] / "src" / "canteen"
BRANCHES = (
    ast.If,
    ast.IfExp,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.comprehension,
)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Measure:
    """A function or module by name, and how much of something it has."""

    where: str
    size: int


def modules() -> list[Path]:
    """Every module that has something in it."""
    return [path for path in sorted(SOURCE.rglob("*.py")) if path.read_text().count("\n") > 1]


def functions() -> Iterator[tuple[str, Function]]:
    """Every function with its place."""
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, Function):
                yield f"{path.relative_to(SOURCE)}: {node.name}", node


def module_lengths() -> list[Measure]:
    """Lines of each module."""
    return [
        Measure(str(path.relative_to(SOURCE)), path.read_text().count("\n")) for path in modules()
    ]


def function_lengths() -> list[Measure]:
    """Lines of each function, signature included."""
    return [Measure(name, (node.end_lineno or 0) - node.lineno + 1) for name, node in functions()]


def branch_counts() -> list[Measure]:
    """Branches + 1 of each function."""
    return [
        Measure(name, 1 + sum(isinstance(one, BRANCHES) for one in ast.walk(node)))
        for name, node in functions()
    ]


def middle(measures: list[Measure]) -> float:
    """The median."""
    return median(one.size for one in measures)


def tail(measures: list[Measure]) -> float:
    """The 95th percentile."""
    return quantiles((one.size for one in measures), n=20)[-1]
