"""The frame of all drills: a hypothesis, a stage on which it is put to the test, and a verdict by stated bounds."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from webapp.lab.pools import MAKE_NOTES, NOTES, LoadedPool, loaded_pool
from webapp.lab.recovery import Check, Course
from webapp.lab.services.data_directory import initialise
from webapp.lab.services.database_server import Server, server_on
from webapp.lab.services.programs import Program
from webapp.lab.steady import Load, Unit
from webapp.pooling import driver
from webapp.pooling.settings import PoolSettings

MARK = "poolproof_lab"
"""The table that marks a staging server as one on which drills may be made."""
SCHEMA, ACCOUNT, PASSWORD = "drill", "drill", "drill"
OPTIONS = ("--innodb-buffer-pool-size=64M", "--max-connections=60")
"""Of the lab's own servers."""


class CannotBeHeldError(Exception):
    """The drill cannot be made on this ground; the text says why. It is left out, not failed."""


@dataclass(frozen=True)
class Drill:
    """One rehearsal: what is believed, how it is put to the test, and what is taken away to see it fail."""

    name: str
    hypothesis: str
    without: str
    """The configuration without the protection, in words."""
    seconds: float
    """About how long it takes."""
    act: Callable[[Stage], Sequence[Check]]
    needs_own_server: bool = True
    """Whether it stops, freezes or fills what only the lab's own server and service are for."""


class Ground:
    """Where drills are held: servers of the lab's own, started when first needed, or one of the operator's."""

    def __init__(self, program: Program | None = None, address: str = "") -> None:
        """Take a server program, or the address of a server of the operator's."""
        self._program = program
        self._address = address
        self._folder = Path(tempfile.mkdtemp(prefix="poolproof-drill-"))
        self._servers: list[Server] = []

    @property
    def is_own(self) -> bool:
        """Whether the lab may do to the server what it likes."""
        return self._program is not None

    def server(self, number: int = 0) -> Server:
        """Return one of the lab's own servers, ready to be asked.

        Raises:
            CannotBeHeldError: on the operator's ground.
            ServerError: when it cannot be started.
        """
        if self._program is None:
            raise CannotBeHeldError("it needs a server that the lab has started")
        template = self._folder / "template"
        if not template.exists():
            initialise(self._program, template)
        while len(self._servers) <= number:
            folder = self._folder / f"server-{len(self._servers)}"
            self._servers.append(_with_account(server_on(self._program, template, folder, always=OPTIONS)))
        return self._servers[number]

    def address(self) -> str:
        """Return the address for an application's account."""
        return address_of(self.server()) if self.is_own else self._address

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement apart from any pool, with the application's own account, which may do little."""
        with alone(self.address()) as connection:
            result = connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []

    def folder(self, name: str) -> Path:
        """Return a new folder for what a drill has to keep."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._folder))

    def make_ready(self, address: str = "") -> None:
        """Lay out the rows that units of work read and write, here or on another server."""
        with alone(address or self.address()) as connection:
            for statement in MAKE_NOTES:
                connection.execute(text(statement))

    def close(self) -> None:
        """Stop what was started and take away what was laid out."""
        if not self.is_own:
            with suppress(Exception):
                self.execute(f"DROP TABLE IF EXISTS {NOTES}")
        for server in self._servers:
            server.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


@dataclass
class Stage:
    """What one drill plays on; it keeps what is measured, also when the drill is cut short."""

    ground: Ground
    is_protected: bool
    fault_at: float | None = None
    over_at: float | None = None
    marks: list[tuple[float, str]] = field(default_factory=list)
    running: Load | None = None

    def pool(self, threads: int, address: str = "", **settings: Any) -> AbstractContextManager[LoadedPool]:
        """Make the pool under test: ours with these settings, or without protection the stock one."""
        return loaded_pool(address or self.ground.address(), threads, is_ours=self.is_protected, **settings)

    @contextmanager
    def load(self, unit: Unit, threads: int, every: float, *, together: bool = False) -> Iterator[Load]:
        """Load until the block ends."""
        self.running = Load(unit, threads, every, together=together)
        try:
            yield self.running
        finally:
            self.running.stop()

    def fault(self, what: str) -> None:
        """Note that the fault begins now."""
        self.fault_at = self.over_at = time.monotonic()
        self.marks.append((self.fault_at, what))

    def over(self, what: str) -> None:
        """Note that the fault's cause is over now: from here on the recovery is timed."""
        self.over_at = time.monotonic()
        self.marks.append((self.over_at, what))

    def mark(self, what: str) -> None:
        """Note something else that happens now."""
        self.marks.append((time.monotonic(), what))

    def course(self) -> Course | None:
        """Return what was measured; None before there was a load."""
        if self.running is None:
            return None
        now = min(time.monotonic(), self.running.ended)
        fault = now if self.fault_at is None else self.fault_at
        over = fault if self.over_at is None else self.over_at
        began = self.running.began
        marks = tuple((at - began, what) for at, what in self.marks)
        return Course(tuple(self.running.samples), began, now, fault, over, marks)

    def measured(self) -> Course:
        """Return what was measured by a drill that has had a load."""
        course = self.course()
        assert course is not None  # noqa: S101 - each drill has one
        return course


def address_of(server: Server, port: int | None = None) -> str:
    """Return the address of one of the lab's servers for an application's account; `port` is that of a proxy."""
    return server.url(SCHEMA, ACCOUNT, PASSWORD, port)


def _with_account(server: Server) -> Server:
    """Make the drills' schema, and an account that may do nothing but use it."""
    server.create_database(SCHEMA)
    server.execute(f"CREATE USER {ACCOUNT}@'%' IDENTIFIED BY '{PASSWORD}'")
    server.execute(f"GRANT ALL ON {SCHEMA}.* TO {ACCOUNT}@'%'")
    return server


@contextmanager
def alone(address: str) -> Iterator[Connection]:
    """Give a connection apart from any pool; each statement is a transaction of its own."""
    arguments = driver.connect_arguments(PoolSettings.model_validate({}), make_url(address))
    engine = create_engine(address, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=arguments)
    with engine.connect() as connection:
        yield connection
