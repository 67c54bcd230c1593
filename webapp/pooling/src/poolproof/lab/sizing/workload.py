"""A workload of statements, read from a TOML file and checked before anything runs."""

from __future__ import annotations

import random
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from sqlalchemy import text

from poolproof.lab.values import NAME_PATTERN, Generator, Value, draw_all, format_problems

MAX_STATEMENTS, MAX_STATEMENT_LENGTH, MAX_OPERATIONS = 100, 100_000, 100
MAX_FILE_SIZE = 2**20
"""Bytes."""
Statement = Annotated[str, StringConstraints(min_length=1, max_length=MAX_STATEMENT_LENGTH)]
ParameterName = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
SHIPPED_FOLDER = Path(__file__).resolve().parent / "workloads"


class WorkloadError(Exception):
    """The file cannot be read, or is not a valid workload; the text names what is wrong."""


class Operation(BaseModel):
    """One kind of work: check out a connection, run the statements, return it. All times are in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    statements: tuple[Statement, ...] = Field((), max_length=MAX_STATEMENTS)
    """`:row` in them is a number from 1 to `rows`, the same for all statements of one operation."""
    parameters: dict[ParameterName, Generator] = Field({}, max_length=MAX_STATEMENTS)
    """What else stands in them as `:name`; drawn once for each operation."""
    weight: float = Field(1.0, gt=0, le=1e9)
    """How often it is chosen, relative to the others."""
    rows: int = Field(1, ge=1, le=2**62)
    """How many rows there are to choose from: with few of them, operations wait for each other's locks."""
    reads: bool = False
    """In autocommit, one round trip for each statement; otherwise one transaction."""
    hold: float = Field(0.0, ge=0, le=60)
    """Time for which the connection is held while nothing is done with it."""
    cpu: float = Field(0.0, ge=0, le=60)
    """Processor time of Python while the connection is held."""
    think: float = Field(0.0, ge=0, le=60)
    """Before each operation, without a connection."""

    @model_validator(mode="after")
    def _parameters_are_known(self) -> Self:
        used = {name for names in self.parameter_names for name in names}
        if missing := sorted(used - {"row", *self.parameters}):
            raise ValueError(f"a statement has :{missing[0]}, and parameters does not say what it is")
        if unused := sorted(set(self.parameters) - used):
            raise ValueError(f"no statement has :{unused[0]}")
        return self

    @cached_property
    def parameter_names(self) -> tuple[frozenset[str], ...]:
        """The names that each statement has as `:name`."""
        return tuple(frozenset(text(statement).compile().params) for statement in self.statements)

    def draw_parameters(self, rng: random.Random) -> list[dict[str, Value]]:
        """Return the parameters of each statement of one operation."""
        drawn = {"row": rng.randint(1, self.rows), **draw_all(self.parameters, rng)}
        return [{name: drawn[name] for name in names} for names in self.parameter_names]


class Workload(BaseModel):
    """The tables and the operations of a workload, and the threads of one process that run it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(min_length=1)
    threads: int = Field(16, ge=1, le=256)
    """They work at the same time, like the request threads of one worker."""
    setup: tuple[Statement, ...] = Field((), max_length=10 * MAX_STATEMENTS)
    """Statements that create the tables, in a schema of the lab's own. Without any, the operations meet the tables as
    they are."""
    operation: tuple[Operation, ...] = Field(min_length=1, max_length=MAX_OPERATIONS)

    @property
    def changes_data(self) -> bool:
        """Whether an operation changes tables that are not the lab's own."""
        return not self.setup and any(not operation.reads and operation.statements for operation in self.operation)

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
        return Workload.model_validate(read_toml(path))
    except OSError as error:
        raise WorkloadError(f"{path}: {error.strerror}. Shipped are: {', '.join(shipped_names())}.") from error
    except tomllib.TOMLDecodeError as error:
        raise WorkloadError(f"{path} is not TOML: {error}.") from error
    except ValidationError as error:
        raise WorkloadError(format_problems(path.name, error)) from error


def shipped_names() -> list[str]:
    """Return the names of the workloads that come with the lab."""
    return sorted(path.stem for path in SHIPPED_FOLDER.glob("*.toml"))


def read_toml(path: Path) -> dict[str, object]:
    """Read a file of at most a mebibyte.

    Raises:
        OSError, tomllib.TOMLDecodeError: when it cannot be read, or is not TOML.
    """
    with path.open("rb") as file:
        content = file.read(MAX_FILE_SIZE + 1)
    if len(content) > MAX_FILE_SIZE:
        raise tomllib.TOMLDecodeError(f"it has more than {MAX_FILE_SIZE} bytes")
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        raise tomllib.TOMLDecodeError("it is not UTF-8") from error
