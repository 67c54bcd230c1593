"""Workloads of statements: those that are shipped, and what is wrong in others."""

from __future__ import annotations

from pathlib import Path

import pytest

from poolproof.lab.sizing import workload
from tests.support import PROJECT


@pytest.mark.parametrize("name", workload.shipped_names())
def test_every_shipped_workload_is_whole(name: str) -> None:
    assert workload.load_workload(name).operation


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("title = 'x'", "operation"),
        ("title = 'x'\n[[operation]]", "does nothing"),
        ("title = 'x'\n[[operation]]\nhold = 1\nwieght = 2", "operation.1.wieght"),
        ("title =", "is not TOML"),
    ],
)
def test_what_is_wrong_in_a_workload_is_named(tmp_path: Path, written: str, sentence: str) -> None:
    (tmp_path / "own.toml").write_text(written)
    with pytest.raises(workload.WorkloadError, match=sentence):
        workload.load_workload(str(tmp_path / "own.toml"))


def test_the_workload_of_the_documentation_is_whole(tmp_path: Path) -> None:
    page = (PROJECT / "docs" / "lab.md").read_text()
    (tmp_path / "own.toml").write_text(page.split("```toml\n")[1].split("```")[0])
    assert len(workload.load_workload(str(tmp_path / "own.toml")).operation) == 2


def test_a_workload_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(workload.WorkloadError, match="cpu, row_lock, waiting"):
        workload.load_workload("missing")
