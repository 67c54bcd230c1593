"""A scenario: who visits an application, with which requests. Read from a TOML file, checked before anything runs."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from poolproof.lab.sizing.workload import read_toml
from poolproof.lab.values import NAME_PATTERN, Generator, format_problems

MAX_USERS, MAX_RATE, MAX_SECONDS = 4000, 100_000.0, 3600.0
MAX_VISITS, MAX_REQUESTS = 100, 100
PLACEHOLDER = re.compile(r"\$\{(\w+)\}")
Header = Annotated[str, StringConstraints(pattern=r"^[^\r\n\x00]*$", max_length=8000)]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", max_length=200)]
ValueName = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Status = Annotated[int, Field(ge=100, le=599)]
OURS = frozenset({"host", "content-length", "connection", "transfer-encoding", "cookie"})
"""Headers that the client sets itself."""


class ScenarioError(Exception):
    """The file cannot be read, or is not a valid scenario; the text names what is wrong."""


class Taken(BaseModel):
    """Where in a response a value is; exactly one of the three."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    json_path: str | None = Field(None, alias="json", min_length=1, max_length=500)
    """Names and numbers with points between them, as in items.0.id."""
    header: HeaderName | None = None
    pattern: str | None = Field(None, min_length=1, max_length=1000)
    """A regular expression with one group, searched for in the body."""

    @model_validator(mode="after")
    def _is_one_place(self) -> Self:
        if sum(place is not None for place in (self.json_path, self.header, self.pattern)) != 1:
            raise ValueError("give exactly one of json, header, pattern")
        if self.pattern is not None:
            try:
                groups = re.compile(self.pattern).groups
            except re.error as error:
                raise ValueError(f"{self.pattern!r} is no regular expression: {error}") from error
            if groups != 1:
                raise ValueError(f"{self.pattern!r} has {groups} groups, and not one")
        return self


class Request(BaseModel):
    """One request. `${name}` in its path, headers and body is a value that was drawn, or taken from a response."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Annotated[str, StringConstraints(pattern=r"^/[^\s#]*$", max_length=8000)]
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    name: str = Field("", max_length=100)
    """In the report; by default method and path."""
    headers: dict[HeaderName, Header] = Field({}, max_length=100)
    json_body: Any = Field(None, alias="json")
    form: dict[str, str] | None = Field(None, max_length=1000)
    expect: tuple[Status, ...] = Field((), max_length=100)
    """Statuses that are right; by default each below 400."""
    take: dict[ValueName, Taken] = Field({}, max_length=100)
    """Values for later requests of the same visit."""
    think: tuple[float, float] | None = None
    """Seconds before it, between these two; by default the scenario's."""

    @property
    def title(self) -> str:
        """The name in the report."""
        return self.name or f"{self.method} {self.path}"

    @property
    def used_names(self) -> set[str]:
        """The values that it uses."""
        parts = (self.path, *self.headers.values(), *(self.form or {}).values(), *_strings(self.json_body))
        return {name for part in parts for name in PLACEHOLDER.findall(part)}

    def is_right(self, status: int) -> bool:
        """Return whether a response with this status is what was expected."""
        return status in self.expect if self.expect else status < 400  # noqa: PLR2004 - where HTTP's errors begin

    @model_validator(mode="after")
    def _can_be_sent(self) -> Self:
        if self.json_body is not None and self.form is not None:
            raise ValueError("a request has json or form, not both")
        if self.method == "GET" and (self.json_body is not None or self.form is not None):
            raise ValueError("a GET has no body: give it another method")
        if refused := sorted(OURS & {name.lower() for name in self.headers}):
            raise ValueError(f"the header {refused[0]} is set by the client itself")
        _check_think(self.think)
        return self


class Visit(BaseModel):
    """Requests that one user makes one after the other; the next is made if the response was right."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("", max_length=100)
    weight: float = Field(1.0, gt=0, le=1e9)
    """How often it is chosen, relative to the others."""
    request: tuple[Request, ...] = Field(min_length=1, max_length=MAX_REQUESTS)


class Scenario(BaseModel):
    """The visits, and how many of them: so many users at once, or visits that begin at a rate. Times are in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = Field(min_length=1, max_length=200)
    users: int | None = Field(None, ge=1, le=MAX_USERS)
    """Each makes the next visit when the last one is over."""
    ramp: float = Field(0.0, ge=0, le=MAX_SECONDS)
    """The users begin evenly over this time."""
    rate: float | None = Field(None, gt=0, le=MAX_RATE)
    """Visits a second, which begin at random moments however long the others take."""
    seconds: float = Field(30.0, gt=0, le=MAX_SECONDS)
    """How long visits begin, from the first on."""
    timeout: float = Field(30.0, gt=0, le=600)
    """How long a request may take."""
    think: tuple[float, float] | None = None
    """Before each request of a visit but the first, between these two."""
    headers: dict[HeaderName, Header] = Field({}, max_length=100)
    """Of every request."""
    values: dict[ValueName, Generator] = Field({}, max_length=100)
    """Drawn once for each visit."""
    visit: tuple[Visit, ...] = Field(min_length=1, max_length=MAX_VISITS)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.users is None) == (self.rate is None):
            raise ValueError("give users or rate, one of them")
        if self.ramp > self.seconds:
            raise ValueError(f"the ramp of {self.ramp:g} s is longer than all of it, {self.seconds:g} s")
        if refused := sorted(OURS & {name.lower() for name in self.headers}):
            raise ValueError(f"the header {refused[0]} is set by the client itself")
        _check_think(self.think)
        for problem in self._unknown_values():
            raise ValueError(problem)
        return self

    def without_think_times(self) -> Scenario:
        """Return the scenario whose users never think."""
        visits = tuple(
            visit.model_copy(
                update={"request": tuple(request.model_copy(update={"think": None}) for request in visit.request)}
            )
            for visit in self.visit
        )
        return self.model_copy(update={"think": None, "visit": visits})

    def _unknown_values(self) -> Iterator[str]:
        """Yield for each value that is used before anything says what it is."""
        general = {name for header in self.headers.values() for name in PLACEHOLDER.findall(header)}
        for number, visit in enumerate(self.visit, 1):
            known = set(self.values)
            for place, request in enumerate(visit.request, 1):
                if missing := sorted((request.used_names | general) - known):
                    yield (
                        f"visit {number}, request {place} has ${{{missing[0]}}}, which is neither in values nor taken "
                        "from a response before it"
                    )
                known |= set(request.take)

    @property
    def requests_per_visit(self) -> float:
        """How many requests a visit has in the mean."""
        weights = sum(visit.weight for visit in self.visit)
        return sum(visit.weight * len(visit.request) for visit in self.visit) / weights


def load_scenario(path: Path) -> Scenario:
    """Read a scenario.

    Raises:
        ScenarioError: with one line for each mistake.
    """
    try:
        return Scenario.model_validate(read_toml(path))
    except OSError as error:
        raise ScenarioError(f"{path}: {error.strerror}.") from error
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{path} is not TOML: {error}.") from error
    except ValidationError as error:
        raise ScenarioError(format_problems(path.name, error)) from error


def _check_think(think: tuple[float, float] | None) -> None:
    if think is not None and not 0 <= think[0] <= think[1] <= MAX_SECONDS:
        raise ValueError("think is two times in seconds, the shorter one first")


def _strings(body: Any) -> Iterator[str]:
    """Yield every text in a JSON value."""
    if isinstance(body, str):
        yield body
    elif isinstance(body, dict):
        for value in body.values():
            yield from _strings(value)
    elif isinstance(body, list):
        for value in body:
            yield from _strings(value)
