"""What a process does not use it does not import."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from webapp.forking import LIBRARIES

PROJECT = Path(__file__).resolve().parents[2]
SOURCES = [PROJECT / "gunicorn.conf.py", *sorted((PROJECT / "webapp").rglob("*.py"))]
DECISION = (PROJECT / "docs" / "decisions" / "0012-late-imports.md").read_text()


def imported_by(statement: str) -> set[str]:
    """The modules that a fresh Python has loaded after a statement."""
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import webapp", {"flask", "sqlalchemy", "pydantic"}),
        ("import webapp.cli", {"sqlalchemy", "pydantic", "alembic", "gunicorn", "httpx2"}),
        ("import webapp.serve", {"alembic", "gunicorn", "httpx2", "argon2", "flask_smorest"}),
        ("import webapp.app", {"alembic", "argon2", "flask_smorest", "httpx2", "stamina", "gunicorn", "numpy"}),
        ("import webapp.routes", {"alembic", "argon2", "httpx2", "stamina", "numpy", "opentelemetry"}),
        ("import webapp.database_setup", {"alembic", "flask_smorest", "httpx2"}),
    ],
)
def test_nothing_is_imported_that_is_not_used(statement: str, absent: set[str]) -> None:
    assert packages(imported_by(statement)) & absent == set()


def test_no_other_command_is_loaded_for_one() -> None:
    loaded = imported_by("from webapp.cli import load_command; load_command('user')")
    assert "webapp.accounts.commands" in loaded
    assert {name for name in loaded if name.endswith(".commands") and name.startswith("webapp")} == {
        "webapp.accounts.commands"
    }
    assert not any(name.startswith("webapp.lab") for name in loaded)


def test_the_master_loads_every_module_of_a_library_that_a_worker_needs() -> None:
    needed, preloaded = imported_by("import webapp.routes, webapp.app"), imported_by(f"import {', '.join(LIBRARIES)}")
    # Gunicorn itself is what the master is; the standard library is small beside the rest.
    elsewhere = sys.stdlib_module_names | {"webapp", "poolproof", "gunicorn"}
    assert {name for name in needed - preloaded if name.partition(".")[0] not in elsewhere} == set()


def late_imports() -> set[str]:
    """Each import that stands inside a function, as `file: module`."""
    found = set()
    for path in SOURCES:
        tree = ast.parse(path.read_text())
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef | ast.Lambda):
                continue
            for node in ast.walk(function):
                name = path.relative_to(PROJECT).as_posix()
                if isinstance(node, ast.ImportFrom):
                    found.add(f"{name}: {node.module}")
                elif isinstance(node, ast.Import):
                    found |= {f"{name}: {alias.name}" for alias in node.names}
                elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "import_module":
                    found.add(f"{name}: import_module")
    return found


def test_every_import_inside_a_function_is_in_the_list_with_its_reason() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| .+ \|$", DECISION, re.MULTILINE)
    listed = {f"{file}: {module}" for file, modules in rows for module in re.findall(r"`([^`]+)`", modules)}
    assert late_imports() == listed
