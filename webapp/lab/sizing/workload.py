"""A workload of statements, read from a TOML file and checked before anything runs."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

SHIPPED_FOLDER = Path(__file__).resolve().parent / "workloads"


class WorkloadError(Exception):
    """The file cannot be read, or says something that no workload has; the text names it."""


class Operation(BaseModel):
    """One kind of work: borrow a connection, run the statements, give it back. All times are in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    statements: tuple[str, ...] = ()
    """`:row` in them is a number from 1 to `rows`, the same for all statements of one operation."""
    weight: float = Field(1.0, gt=0)
    """How often it comes, beside the others."""
    rows: int = Field(1, ge=1)
    """How many rows there are to choose from: few of them are locked by many at once."""
    reads: bool = False
    """In autocommit, one round trip for each statement; otherwise one transaction."""
    hold: float = Field(0.0, ge=0, le=60)
    """For so long the connection is held while nothing is done with it."""
    cpu: float = Field(0.0, ge=0, le=60)
    """Processor time of Python while the connection is held."""
    think: float = Field(0.0, ge=0, le=60)
    """Before each operation, without a connection."""


class Workload(BaseModel):
    """What is run: its tables, and its operations by so many threads of one process."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(min_length=1)
    threads: int = Field(16, ge=1, le=256)
    """At work at once, like the request threads of one worker."""
    setup: tuple[str, ...] = ()
    """Statements that make the tables, in a schema of the lab's own."""
    operation: tuple[Operation, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        for number, one in enumerate(self.operation, 1):
            if not one.statements and not one.hold and not one.cpu:
                raise ValueError(f"operation {number} does nothing: give it statements, hold or cpu")
        return self


def load_workload(name: str) -> Workload:
    """Read a workload: a file's path, or the name of one that is shipped (cpu, row_lock, waiting).

    Raises:
        WorkloadError: with one line for each thing that is wrong.
    """
    path = SHIPPED_FOLDER / f"{name}.toml" if name in shipped_names() else Path(name)
    try:
        return Workload.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise WorkloadError(f"{path}: {error.strerror}. Shipped are: {', '.join(shipped_names())}.") from error
    except tomllib.TOMLDecodeError as error:
        raise WorkloadError(f"{path} is not TOML: {error}.") from error
    except ValidationError as error:
        raise WorkloadError("\n".join(_format_problem(path, problem) for problem in error.errors())) from error


def shipped_names() -> list[str]:
    """Return the names of the workloads that come with the lab."""
    return sorted(path.stem for path in SHIPPED_FOLDER.glob("*.toml"))


def _format_problem(path: Path, problem: object) -> str:
    assert isinstance(problem, dict)  # noqa: S101 - pydantic's
    where = ".".join(str(part + 1 if isinstance(part, int) else part) for part in problem["loc"])
    said = str(problem["msg"]).removeprefix("Value error, ")
    return f"{path.name}: {where + ': ' if where else ''}{said}."
