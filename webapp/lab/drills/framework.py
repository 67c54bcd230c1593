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

from poolproof.drivers.mysql import connection as mysql_connection
from poolproof.settings import PoolSettings
from webapp.lab.drills.paced_load import PacedLoad, Unit
from webapp.lab.drills.pool_under_test import CREATE_NOTES, NOTES_TABLE, PoolUnderTest, create_pool
from webapp.lab.drills.recovery import Check, LoadHistory
from webapp.lab.services.data_directory import initialise
from webapp.lab.services.database_server import DatabaseServer, start_server
from webapp.lab.services.programs import Program

STAGING_MARKER_TABLE = "poolproof_lab"
"""The table that marks a staging server as one on which drills may be made."""
SCHEMA, ACCOUNT, PASSWORD = "drill", "drill", "drill"
SERVER_OPTIONS = ("--innodb-buffer-pool-size=64M", "--max-connections=60")
"""Of the lab's own servers."""


class DrillNotApplicableError(Exception):
    """The drill cannot be made on this ground; the text says why. It is left out, not failed."""


@dataclass(frozen=True)
class Drill:
    """One rehearsal: what is believed, how it is put to the test, and what is taken away to see it fail."""

    name: str
    hypothesis: str
    unprotected: str
    """The configuration without the protection, in words."""
    estimated_seconds: float
    """About how long it takes."""
    run: Callable[[DrillRun], Sequence[Check]]
    needs_own_server: bool = True
    """Whether it stops, freezes or fills what only the lab's own server and service are for."""


class DrillTarget:
    """Where drills are held: servers of the lab's own, started when first needed, or one of the operator's."""

    def __init__(self, program: Program | None = None, database_url: str = "") -> None:
        """Take a server program, or the address of a server of the operator's."""
        self._program = program
        self._database_url = database_url
        self._folder = Path(tempfile.mkdtemp(prefix="poolproof-drill-"))
        self._servers: list[DatabaseServer] = []

    @property
    def is_disposable(self) -> bool:
        """Whether the lab may do to the server what it likes."""
        return self._program is not None

    def server(self, number: int = 0) -> DatabaseServer:
        """Return one of the lab's own servers, ready to be asked.

        Raises:
            DrillNotApplicableError: on the operator's ground.
            ServerError: when it cannot be started.
        """
        if self._program is None:
            raise DrillNotApplicableError("it needs a server that the lab has started")
        template = self._folder / "template"
        if not template.exists():
            initialise(self._program, template)
        while len(self._servers) <= number:
            folder = self._folder / f"server-{len(self._servers)}"
            self._servers.append(
                _create_account(start_server(self._program, template, folder, base_options=SERVER_OPTIONS))
            )
        return self._servers[number]

    def database_url(self) -> str:
        """Return the address for an application's account."""
        return application_url(self.server()) if self.is_disposable else self._database_url

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement apart from any pool, with the application's own account, which may do little."""
        with direct_connection(self.database_url()) as connection:
            result = connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []

    def make_folder(self, name: str) -> Path:
        """Return a new folder for what a drill has to keep."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._folder))

    def create_tables(self, database_url: str = "") -> None:
        """Lay out the rows that units of work read and write, here or on another server."""
        with direct_connection(database_url or self.database_url()) as connection:
            for statement in CREATE_NOTES:
                connection.execute(text(statement))

    def close(self) -> None:
        """Stop what was started and take away what was laid out."""
        if not self.is_disposable:
            with suppress(Exception):
                self.execute(f"DROP TABLE IF EXISTS {NOTES_TABLE}")
        for server in self._servers:
            server.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


@dataclass
class DrillRun:
    """What one drill plays on; it keeps what is measured, also when the drill is cut short."""

    target: DrillTarget
    is_protected: bool
    fault_started_at: float | None = None
    fault_ended_at: float | None = None
    markers: list[tuple[float, str]] = field(default_factory=list)
    current_load: PacedLoad | None = None

    def create_pool(
        self, threads: int, database_url: str = "", **settings: Any
    ) -> AbstractContextManager[PoolUnderTest]:
        """Make the pool under test: ours with these settings, or without protection the stock one."""
        return create_pool(
            database_url or self.target.database_url(), threads, is_poolproof=self.is_protected, **settings
        )

    @contextmanager
    def run_load(self, unit: Unit, threads: int, interval: float, *, simultaneous: bool = False) -> Iterator[PacedLoad]:
        """Load until the block ends."""
        self.current_load = PacedLoad(unit, threads, interval, simultaneous=simultaneous)
        try:
            yield self.current_load
        finally:
            self.current_load.stop()

    def begin_fault(self, label: str) -> None:
        """Note that the fault begins now."""
        self.fault_started_at = self.fault_ended_at = time.monotonic()
        self.markers.append((self.fault_started_at, label))

    def end_fault(self, label: str) -> None:
        """Note that the fault's cause is over now: from here on the recovery is timed."""
        self.fault_ended_at = time.monotonic()
        self.markers.append((self.fault_ended_at, label))

    def add_marker(self, label: str) -> None:
        """Note something else that happens now."""
        self.markers.append((time.monotonic(), label))

    def history(self) -> LoadHistory | None:
        """Return what was measured; None before there was a load."""
        if self.current_load is None:
            return None
        now = min(time.monotonic(), self.current_load.ended_at)
        fault = now if self.fault_started_at is None else self.fault_started_at
        over = fault if self.fault_ended_at is None else self.fault_ended_at
        began = self.current_load.started_at
        marks = tuple((at - began, what) for at, what in self.markers)
        return LoadHistory(tuple(self.current_load.samples), began, now, fault, over, marks)

    def require_history(self) -> LoadHistory:
        """Return what was measured by a drill that has had a load."""
        course = self.history()
        assert course is not None  # noqa: S101 - each drill has one
        return course


def application_url(server: DatabaseServer, port: int | None = None) -> str:
    """Return the address of one of the lab's servers for an application's account; `port` is that of a proxy."""
    return server.url(SCHEMA, ACCOUNT, PASSWORD, port)


def _create_account(server: DatabaseServer) -> DatabaseServer:
    """Make the drills' schema, and an account that may do nothing but use it."""
    server.create_database(SCHEMA)
    server.execute(f"CREATE USER {ACCOUNT}@'%' IDENTIFIED BY '{PASSWORD}'")
    server.execute(f"GRANT ALL ON {SCHEMA}.* TO {ACCOUNT}@'%'")
    return server


@contextmanager
def direct_connection(database_url: str) -> Iterator[Connection]:
    """Give a connection apart from any pool; each statement is a transaction of its own."""
    arguments = mysql_connection.connect_args(PoolSettings(), make_url(database_url))
    engine = create_engine(database_url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=arguments)
    with engine.connect() as connection:
        yield connection
