"""Nothing is decided by the text of an error: it holds the values of a statement, in the server's language."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
MODULES = [PROJECT / "gunicorn.conf.py", *sorted((PROJECT / "webapp").rglob("*.py"))]
ERROR_NAME = re.compile(r"(^|_)(e|exc|err|error|exception|original|orig|cause)$")
TEXT_ATTRIBUTES = {"message", "msg", "strerror", "errmsg", "reason"}
ASKING_METHODS = {"startswith", "endswith", "find", "index", "count"}
ASKING_FUNCTIONS = {"match", "search", "fullmatch", "findall"}


def is_error(node: ast.AST) -> bool:
    """Say whether an expression is, by its name, an error."""
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return bool(ERROR_NAME.search(name))


def is_error_text(node: ast.AST) -> bool:
    """Say whether an expression is the text of an error: str(error), f"{error}", error.args[1], error.message."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"str", "repr"}:
        return any(is_error(argument) for argument in node.args)
    if isinstance(node, ast.FormattedValue):
        return is_error(node.value)
    if isinstance(node, ast.JoinedStr):
        return any(is_error_text(value) for value in node.values)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr == "args":
        return not (isinstance(node.slice, ast.Constant) and node.slice.value == 0)
    return isinstance(node, ast.Attribute) and node.attr in TEXT_ATTRIBUTES and is_error(node.value)


def contains_error_text(node: ast.AST) -> bool:
    return any(is_error_text(each) for each in ast.walk(node))


def decisions(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that compare or search the text of an error."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            asked: list[ast.AST] = [node]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name = node.func.attr
            asked = [node.func.value] if name in ASKING_METHODS else node.args if name in ASKING_FUNCTIONS else []  # type: ignore[assignment]
        else:
            continue
        if any(contains_error_text(each) for each in asked):
            yield node.lineno


def test_no_module_decides_by_the_text_of_an_error() -> None:
    found = {
        f"{path.relative_to(PROJECT)}:{line}" for path in MODULES for line in decisions(ast.parse(path.read_text()))
    }
    assert found == set()


@pytest.mark.parametrize(
    "line",
    [
        '"database is locked" in str(error)',
        'str(error.orig) == "gone"',
        'str(error).lower().startswith("lost")',
        'error.args[1] != "x"',
        'error.args[-1].startswith("x")',
        'error.orig.args[1].lower() == "x"',
        're.search("gone", str(original))',
        'f"{error}".endswith("gone")',
        '"gone" in error.message',
    ],
)
def test_such_a_line_would_be_found(line: str) -> None:
    assert list(decisions(ast.parse(line))) != []


@pytest.mark.parametrize("line", ["error.args[0] == 1040", "return_text(str(error))", 'f"Not done: {error}"'])
def test_showing_an_error_is_no_decision(line: str) -> None:
    assert list(decisions(ast.parse(line))) == []
