"""Workloads of statements: those that are shipped, and what is wrong in others."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from poolproof.lab.sizing import workload
from poolproof.lab.values import Generator
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
        ("title = 'x'\n[[operation]]\nstatements = ['SELECT :id']", "own.toml: operation.1: a statement has :id"),
        (
            "title = 'x'\n[[operation]]\nstatements = ['SELECT 1']\nparameters = {id = {unique = true}}",
            "no statement has :id",
        ),
        (
            "title = 'x'\n[[operation]]\nstatements = ['SELECT :id']\nparameters = {id = {integer = [2, 1]}}",
            "operation.1.parameters.id: 2 is more than 1",
        ),
        ("title = 'x'\n#" + "x" * 2**20, "more than 1048576 bytes"),
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


def test_each_statement_gets_the_parameters_that_it_has_and_those_of_one_operation_agree() -> None:
    generators = {"id": Generator(unique=True), "name": Generator(choice=("ada",))}
    statements = ("SELECT :id, :row", "SELECT CAST(:id AS BIGINT), '12:30'", "SELECT :name")
    operation = workload.Operation(statements=statements, rows=3, parameters=generators)
    first, second, third = operation.draw_parameters(random.Random(1))
    assert set(first) == {"id", "row"}
    assert second == {"id": first["id"]}
    assert third == {"name": "ada"}


def test_a_workload_without_setup_changes_the_tables_that_are_there() -> None:
    write, read = ({"statements": ("SELECT 1",), "reads": reads} for reads in (False, True))
    workloads = [workload.Workload(title="x", operation=(operation,)) for operation in (write, read)]  # type: ignore[arg-type]
    assert [one.changes_data for one in workloads] == [True, False]
    assert not workloads[0].model_copy(update={"setup": ("CREATE TABLE x (y INT)",)}).changes_data
