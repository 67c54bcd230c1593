"""Who may import the tests and the benches."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support import PROJECT

LEFT_OUT = {".venv", ".git", "node_modules", "build"}


def modules(*folders: str) -> Iterator[Path]:
    for folder in folders:
        root = PROJECT / folder
        for path in root.glob("*.py") if folder == "." else root.rglob("*.py"):
            if not LEFT_OUT.intersection(path.relative_to(PROJECT).parts):
                yield path


def importing(package: str, *folders: str) -> list[str]:
    """List the modules below these folders that import something of a package, at any depth of their syntax tree."""
    return [
        str(path.relative_to(PROJECT))
        for path in modules(*folders)
        if package in {name.split(".")[0] for name in imported(ast.parse(path.read_text()))}
    ]


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


def test_every_form_of_import_is_seen() -> None:
    source = "import tests.a as b\ndef f():\n    from bench.c import d\nfrom . import e\nimport os, sys"
    assert set(imported(ast.parse(source))) == {"tests.a", "bench.c", "os", "sys"}


def test_nothing_but_the_tests_imports_the_tests() -> None:
    assert len(list(modules(".", ".ci", "bench", "migrations", "webapp"))) > 300
    assert importing("tests", ".", ".ci", "bench", "migrations", "webapp") == []


def test_no_test_imports_a_bench() -> None:
    assert importing("tests", "tests") != []
    assert importing("bench", "tests") == []
