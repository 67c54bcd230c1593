"""What all drills share: the hypothesis and its test, the servers they run on, and the load that they observe."""

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

from poolproof.drivers.mysql.connect_args import connect_args
from poolproof.settings import PoolSettings
from webapp.lab.drills.paced_load import PacedLoad, Unit
from webapp.lab.drills.pool_under_test import CREATE_NOTES, NOTES_TABLE, PoolUnderTest, create_pool
from webapp.lab.drills.recovery import Check, LoadHistory
from webapp.lab.services.data_directory import initialise
from webapp.lab.services.database_server import DatabaseServer, start_server
from webapp.lab.services.programs import Program

SCHEMA, ACCOUNT, PASSWORD = "drill", "drill", "drill"
SERVER_OPTIONS = ("--innodb-buffer-pool-size=64M", "--max-connections=60")
"""Of the servers that the lab starts."""


class DrillNotApplicableError(Exception):
    """The drill cannot be run on this target; the text says why. It is skipped, not failed."""


@dataclass(frozen=True)
class Drill:
    """One drill: a hypothesis, the function that tests it, and the configuration with which it must fail."""

    name: str
    hypothesis: str
    unprotected: str
    """Description of the configuration without the protection."""
    estimated_seconds: float
    """Approximate duration."""
    run: Callable[[DrillRun], Sequence[Check]]
    needs_own_server: bool = True
    """Whether it stops, freezes or fills a server, which is done only to one that the lab has started."""


class DrillTarget:
    """What drills run on: servers that the lab starts when first needed, or a server of the operator's."""

    def __init__(self, program: Program | None = None, database_url: str = "") -> None:
        """Use a server program, or the URL of a server of the operator's."""
        self._program = program
        self._database_url = database_url
        self._folder = Path(tempfile.mkdtemp(prefix="poolproof-drill-"))
        self._servers: list[DatabaseServer] = []

    @property
    def is_disposable(self) -> bool:
        """Whether the lab has started the server and may do anything to it."""
        return self._program is not None

    def server(self, number: int = 0) -> DatabaseServer:
        """Return one of the lab's own servers; it accepts logins.

        Raises:
            DrillNotApplicableError: on a server of the operator's.
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
        """Return the URL with an application's account."""
        return application_url(self.server()) if self.is_disposable else self._database_url

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Execute a statement outside of any pool, with the application's account, which has few privileges."""
        with direct_connection(self.database_url()) as connection:
            result = connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []

    def make_folder(self, name: str) -> Path:
        """Return a new folder for the files of a drill."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._folder))

    def create_tables(self, database_url: str = "") -> None:
        """Create the table that units of work read and write, on this server or on another one."""
        with direct_connection(database_url or self.database_url()) as connection:
            for statement in CREATE_NOTES:
                connection.execute(text(statement))

    def close(self) -> None:
        """Stop the servers that were started and remove the table and the files."""
        if not self.is_disposable:
            with suppress(Exception):
                self.execute(f"DROP TABLE IF EXISTS {NOTES_TABLE}")
        for server in self._servers:
            server.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


@dataclass
class DrillRun:
    """State of one drill; it has what was measured also when the drill is interrupted."""

    target: DrillTarget
    is_protected: bool
    fault_started_at: float | None = None
    fault_ended_at: float | None = None
    markers: list[tuple[float, str]] = field(default_factory=list)
    current_load: PacedLoad | None = None

    def create_pool(
        self, threads: int, database_url: str = "", **settings: Any
    ) -> AbstractContextManager[PoolUnderTest]:
        """Create the pool under test: ours with these settings, or without protection SQLAlchemy's own."""
        return create_pool(
            database_url or self.target.database_url(), threads, is_poolproof=self.is_protected, **settings
        )

    @contextmanager
    def run_load(self, unit: Unit, threads: int, interval: float, *, simultaneous: bool = False) -> Iterator[PacedLoad]:
        """Run the load until the block ends."""
        self.current_load = PacedLoad(unit, threads, interval, simultaneous=simultaneous)
        try:
            yield self.current_load
        finally:
            self.current_load.stop()

    def begin_fault(self, label: str) -> None:
        """Record that the fault begins now."""
        self.fault_started_at = self.fault_ended_at = time.monotonic()
        self.markers.append((self.fault_started_at, label))

    def end_fault(self, label: str) -> None:
        """Record that the cause of the fault ends now; the recovery is timed from here on."""
        self.fault_ended_at = time.monotonic()
        self.markers.append((self.fault_ended_at, label))

    def add_marker(self, label: str) -> None:
        """Record another event."""
        self.markers.append((time.monotonic(), label))

    def history(self) -> LoadHistory | None:
        """Return what was measured so far; None before the load was started."""
        if self.current_load is None:
            return None
        load = self.current_load
        now = min(time.monotonic(), load.ended_at)
        fault_started_at = now if self.fault_started_at is None else self.fault_started_at
        return LoadHistory(
            samples=tuple(load.samples),
            started_at=load.started_at,
            ended_at=now,
            fault_started_at=fault_started_at,
            fault_ended_at=fault_started_at if self.fault_ended_at is None else self.fault_ended_at,
            markers=tuple((at - load.started_at, label) for at, label in self.markers),
        )

    def require_history(self) -> LoadHistory:
        """Return what was measured by a drill that has started its load."""
        history = self.history()
        assert history is not None  # noqa: S101 - each drill starts a load first
        return history


def application_url(server: DatabaseServer, port: int | None = None) -> str:
    """Return the URL of one of the lab's servers with an application's account; `port` is that of a proxy."""
    return server.url(SCHEMA, ACCOUNT, PASSWORD, port)


def _create_account(server: DatabaseServer) -> DatabaseServer:
    """Create the drills' schema, and an account that may use this schema only."""
    server.create_database(SCHEMA)
    server.execute(f"CREATE USER {ACCOUNT}@'%' IDENTIFIED BY '{PASSWORD}'")
    server.execute(f"GRANT ALL ON {SCHEMA}.* TO {ACCOUNT}@'%'")
    return server


@contextmanager
def direct_connection(database_url: str) -> Iterator[Connection]:
    """Yield a connection outside of any pool, in autocommit."""
    arguments = connect_args(PoolSettings(), make_url(database_url))
    engine = create_engine(database_url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=arguments)
    with engine.connect() as connection:
        yield connection
