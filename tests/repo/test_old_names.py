"""The names that the code had before it took the field's words do not come back.

`old_names.txt` lists them: under [everywhere] those that no module may use, under [in] those that are ordinary words
and only may not name again what they named in one module, under [modules] files that are gone, under [words] what may
not stand as code in documents and templates either. CHANGELOG.md and the tables of renamed settings and commands, which
refuse an old name with the new one, may name them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support import PROJECT

FOLDERS = ("webapp", "tests", "bench", "migrations", ".ci")
LISTED = (PROJECT / "tests" / "repo" / "old_names.txt").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^\[(\w+)\]\n(.*?)(?=^\[|\Z)", LISTED, re.MULTILINE | re.DOTALL))
REFUSALS = {"webapp/setting_names.py", "webapp/cli.py", "tests/unit/test_settings.py", "tests/unit/test_cli.py"}


def sources() -> list[Path]:
    files = [path for folder in FOLDERS for path in (PROJECT / folder).rglob("*.py")]
    return [*files, PROJECT / "gunicorn.conf.py", PROJECT / "wsgi.py"]


def identifiers(tree: ast.AST) -> Iterator[str]:
    """Every name in a syntax tree: of variables, attributes, functions, classes, parameters, keywords and imports."""
    for node in ast.walk(tree):
        for field in ("id", "attr", "arg", "name", "asname", "module"):
            if isinstance(value := getattr(node, field, None), str):
                yield from value.split(".")


def definitions(tree: ast.Module) -> Iterator[str]:
    """What a module defines: functions, classes, attributes, parameters, and names at its top."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.arg):
            yield node.arg
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            yield from (target.id for target in statement.targets if isinstance(target, ast.Name))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def code_in(path: Path) -> Iterator[str]:
    """What stands as code in a document or a template."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        yield from re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL)
    else:
        yield from re.findall(r"\{\{.*?\}\}|\{%.*?%\}|<code>.*?</code>", text, re.DOTALL)


def documents() -> list[Path]:
    pages = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *(PROJECT / "docs").rglob("*.md")]
    return [*pages, *(PROJECT / "webapp" / "templates").rglob("*.html")]


def test_the_list_is_read() -> None:
    assert {"FrugalConnection", "FairRecord", "PoolFullError", "prepare_engine"} <= set(SECTIONS["everywhere"].split())
    assert set(identifiers(ast.parse("import a.b as c\nd.e(f=g)\ndef h(i): ..."))) == set("abcdefghi")


def test_no_old_name_is_used_in_any_module() -> None:
    old = set(SECTIONS["everywhere"].split())
    found = {
        str(path.relative_to(PROJECT)): names for path in sources() if (names := old & {*identifiers(tree_of(path))})
    }
    assert found == {}


@pytest.mark.parametrize(
    "line", re.sub(r"\n  ", " ", SECTIONS["in"]).strip().splitlines(), ids=lambda line: line.split(":")[0]
)
def test_no_module_defines_what_it_has_renamed(line: str) -> None:
    name, _, names = line.partition(": ")
    assert set(names.split()) & {*definitions(tree_of(PROJECT / name))} == set()


def test_no_renamed_module_is_back() -> None:
    assert [name for name in SECTIONS["modules"].split() if (PROJECT / name).exists()] == []


def test_no_old_name_stands_as_code_in_a_document_or_a_template() -> None:
    old = set(SECTIONS["words"].split())
    found = {
        str(path.relative_to(PROJECT)): names
        for path in documents()
        if (names := old & {word for code in code_in(path) for word in re.findall(r"[\w-]+", code)})
    }
    assert found == {}


def test_old_settings_and_tables_are_named_only_where_they_are_refused() -> None:
    old = re.compile(rf"(?<![\w])({'|'.join(SECTIONS['outside'].split())})(?![\w])")
    found = {
        name: sorted({*old.findall(path.read_text(encoding="utf-8"))})
        for path in sources()
        if (name := str(path.relative_to(PROJECT))) not in REFUSALS and old.search(path.read_text(encoding="utf-8"))
    }
    assert found == {}
