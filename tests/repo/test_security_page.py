"""SECURITY.md promises nothing that no test shows."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PAGE = (PROJECT / "SECURITY.md").read_text()


def threats() -> list[list[str]]:
    """Return the rows of the table that names tests."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("|")]
    return [row for row in rows if len(row) == 3][2:]


def test_every_threat_has_a_test() -> None:
    assert len(threats()) > 15
    for threat, _, shown_by in threats():
        assert "::test_" in shown_by, threat


def test_every_test_that_is_named_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", PAGE)
    assert len(named) == PAGE.count("::test_")
    for file, name in named:
        assert f"def {name}(" in (PROJECT / file).read_text(), f"{file}::{name}"
