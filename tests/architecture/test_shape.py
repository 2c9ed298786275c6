"""Sizes keep to what docs/architecture.md promises a reader."""

import ast

from tests.architecture import shape


def test_the_median_function_is_short() -> None:
    assert shape.middle(shape.function_lengths()) <= 12


def test_few_functions_are_long() -> None:
    assert shape.tail(shape.function_lengths()) <= 40


def test_no_function_is_over_60_lines() -> None:
    assert [one for one in shape.function_lengths() if one.size > 60] == []


def test_few_functions_branch_much() -> None:
    assert shape.tail(shape.branch_counts()) <= 10


def test_the_median_module_is_short() -> None:
    assert shape.middle(shape.module_lengths()) <= 140


def test_few_modules_are_long() -> None:
    assert shape.tail(shape.module_lengths()) <= 300


def test_no_module_is_over_500_lines() -> None:
    assert [one for one in shape.module_lengths() if one.size > 500] == []


def test_every_module_says_in_a_line_what_it_is_for() -> None:
    silent = [
        path.name
        for path in shape.modules()
        if not (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
    ]

    assert silent == []


def test_no_name_says_nothing() -> None:
    nothing = {"utils", "util", "common", "helpers", "manager", "misc"}

    assert [path for path in shape.modules() if path.stem in nothing] == []


def test_broad_handlers_are_few() -> None:
    broad = [
        path.name
        for path in shape.modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and isinstance(node.type, ast.Name)
        and node.type.id in {"Exception", "BaseException"}
    ]

    assert len(broad) <= 10
