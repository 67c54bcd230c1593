"""A workload of statements, read from a TOML file and checked before anything runs."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

SHIPPED_FOLDER = Path(__file__).resolve().parent / "workloads"


class WorkloadError(Exception):
    """The file cannot be read, or is not a valid workload; the text names what is wrong."""


class Operation(BaseModel):
    """One kind of work: check out a connection, run the statements, return it. All times are in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    statements: tuple[str, ...] = ()
    """`:row` in them is a number from 1 to `rows`, the same for all statements of one operation."""
    weight: float = Field(1.0, gt=0)
    """How often it is chosen, relative to the others."""
    rows: int = Field(1, ge=1)
    """How many rows there are to choose from: with few of them, operations wait for each other's locks."""
    reads: bool = False
    """In autocommit, one round trip for each statement; otherwise one transaction."""
    hold: float = Field(0.0, ge=0, le=60)
    """Time for which the connection is held while nothing is done with it."""
    cpu: float = Field(0.0, ge=0, le=60)
    """Processor time of Python while the connection is held."""
    think: float = Field(0.0, ge=0, le=60)
    """Before each operation, without a connection."""


class Workload(BaseModel):
    """The tables and the operations of a workload, and the threads of one process that run it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(min_length=1)
    threads: int = Field(16, ge=1, le=256)
    """They work at the same time, like the request threads of one worker."""
    setup: tuple[str, ...] = ()
    """Statements that create the tables, in a schema of the lab's own."""
    operation: tuple[Operation, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        for number, operation in enumerate(self.operation, 1):
            if not operation.statements and not operation.hold and not operation.cpu:
                raise ValueError(f"operation {number} does nothing: give it statements, hold or cpu")
        return self


def load_workload(name: str) -> Workload:
    """Read a workload: a file's path, or the name of one that is shipped (cpu, row_lock, waiting).

    Raises:
        WorkloadError: with one line for each mistake.
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
    location = ".".join(str(part + 1 if isinstance(part, int) else part) for part in problem["loc"])
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{path.name}: {location + ': ' if location else ''}{message}."
