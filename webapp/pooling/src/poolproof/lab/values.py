"""Values that a workload's statements and a scenario's requests are given, drawn anew each time."""

from __future__ import annotations

import random
import string
import uuid
from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Value = str | int | float | bool
Name = str
NAME_PATTERN = r"^[A-Za-z_]\w{0,63}$"
MAX_INTEGER = 2**63 - 1
MAX_CHOICES, MAX_TEXT = 10_000, 100_000


class Generator(BaseModel):
    """How a value is drawn; exactly one way is given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    integer: tuple[int, int] | None = None
    """A whole number between these two, both included."""
    number: tuple[float, float] | None = None
    """A number between these two."""
    choice: tuple[Value, ...] | None = Field(None, min_length=1, max_length=MAX_CHOICES)
    """One of these."""
    text: int | None = Field(None, ge=1, le=MAX_TEXT)
    """So many random letters."""
    uuid: bool | None = None
    """A random UUID, as text."""
    unique: bool | None = None
    """A whole number below 2**62 that no other draw has, also of another run: for a key."""

    @model_validator(mode="after")
    def _is_one_way(self) -> Self:
        given = sorted(name for name, value in self if value not in {None, False})
        if len(given) != 1:
            raise ValueError("give exactly one of integer, number, choice, text, uuid, unique")
        bounds = self.integer or self.number
        if bounds and bounds[0] > bounds[1]:
            raise ValueError(f"{bounds[0]} is more than {bounds[1]}")
        if self.integer and max(map(abs, self.integer)) > MAX_INTEGER:
            raise ValueError(f"a whole number is at most {MAX_INTEGER}")
        return self

    def draw(self, rng: random.Random) -> Value:
        """Return a value; those that have to be unique do not come from `rng`, which repeats itself in each run."""
        if self.integer is not None:
            return rng.randint(*self.integer)
        if self.number is not None:
            return rng.uniform(*self.number)
        if self.choice is not None:
            return rng.choice(self.choice)
        if self.text is not None:
            return "".join(rng.choices(string.ascii_letters, k=self.text))
        return str(uuid.uuid4()) if self.uuid else uuid.uuid4().int >> 66


def draw_all(generators: Mapping[Name, Generator], rng: random.Random) -> dict[str, Value]:
    """Draw a value of each."""
    return {name: generator.draw(rng) for name, generator in generators.items()}


def format_problems(name: str, error: ValidationError) -> str:
    """Return one line for each mistake in a file: its place, counted from 1, and what is wrong."""
    lines = []
    for problem in error.errors():
        place = ".".join(str(part + 1 if isinstance(part, int) else part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        lines.append(f"{name}: {place + ': ' if place else ''}{message}.")
    return "\n".join(lines)
