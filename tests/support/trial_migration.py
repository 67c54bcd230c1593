"""A further migration for tests, behind those that the product has."""

from __future__ import annotations

import shutil
from pathlib import Path
from textwrap import dedent, indent

import pytest

from webapp import schema

HEADER = """
from __future__ import annotations

import sqlalchemy as sa

from webapp import schema_steps as steps

revision = "{revision}"
down_revision = "{before}"
"""


def add_migration(folder: Path, monkeypatch: pytest.MonkeyPatch, up: str, down: str = "pass") -> str:
    """Let this process have one more migration, made of these statements; return its revision."""
    before = schema.head_revision()
    revision = f"{int(before) + 1:04}"
    copy = folder / "migrations"
    shutil.copytree(schema.MIGRATIONS_FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__"))
    functions = "".join(
        f"\n\ndef {name}() -> None:\n{indent(dedent(body).strip(), '    ')}\n"
        for name, body in (("upgrade", up), ("downgrade", down))
    )
    header = HEADER.format(revision=revision, before=before)
    (copy / "versions" / f"{revision}_trial.py").write_text(header + functions, encoding="utf-8")
    monkeypatch.setattr(schema, "MIGRATIONS_FOLDER", copy)
    return revision
