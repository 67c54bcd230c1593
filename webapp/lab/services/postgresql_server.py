"""PostgreSQL on fresh data, for poolproof's tests and benches: started in a second, stopped, killed, paused, restarted.

The quiz service does not run on it. The program is Debian's, unpacked; fresh data are made once for each version.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from webapp.lab.services.data_directory import initialise_once
from webapp.lab.services.debian import loader_command, unpack_packages
from webapp.lab.services.processes import HOST, free_port, start, tail
from webapp.lab.services.programs import ServerError
from webapp.lab.services.unprivileged import give_away, unprivileged

START_TIMEOUT = STOP_TIMEOUT = 60.0
"""Seconds."""
POLL_INTERVAL = 0.02
SUPERUSER = "postgres"
RELEASES = {"sid": "18", "bookworm": "15"}
"""The release of PostgreSQL in each of Debian's suites that tests use."""
COMMON_OPTIONS = (
    f"listen_addresses={HOST}", "unix_socket_directories=", "jit=off", "shared_buffers=32MB", "max_wal_size=64MB",
)  # fmt: skip


@dataclass(frozen=True)
class PostgresqlProgram:
    """A release of PostgreSQL that is unpacked in the cache."""

    root: Path
    release: str

    @contextmanager
    def installed(self) -> Iterator[Path]:
        """Yield a folder in which its programs can be run by any user, as long as the block lasts.

        The programs look for their own file, and initdb for that of the server, as the ordinary user that they run as
        and without the machine's newer libraries. So each is a script there, which names itself as the program and
        runs the unpacked one by its own loader, beside links to the files that they share.
        """
        with tempfile.TemporaryDirectory(prefix="poolproof-postgresql-", dir=_public_folder()) as name:
            folder = Path(name)
            home = folder / "usr" / "lib" / "postgresql" / self.release
            share = folder / "usr" / "share" / "postgresql"
            (home / "bin").mkdir(parents=True)
            share.mkdir(parents=True)
            (home / "lib").symlink_to(self.root / home.relative_to(folder) / "lib")
            (share / self.release).symlink_to(self.root / share.relative_to(folder) / self.release)
            for program in ("initdb", "postgres"):
                script = home / "bin" / program
                loader, *words = loader_command(self.root, self.root / script.relative_to(folder))
                script.write_text(f'#!/bin/sh\nexec {shlex.join([loader, "--argv0", str(script), *words])} "$@"\n')
                script.chmod(0o755)
            give_away(folder)
            yield home / "bin"


@dataclass
class PostgresqlServer:
    """A server process of ours on 127.0.0.1; nobody needs a password."""

    program: PostgresqlProgram
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    options: tuple[str, ...] = field(default=())
    """Further options of the last start, each `name=value`."""
    _installation: ExitStack = field(default_factory=ExitStack, repr=False)

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "data"

    def url(self, database: str = SUPERUSER, user: str = SUPERUSER, driver: str = "psycopg", port: int = 0) -> str:
        """Return the URL for SQLAlchemy; `port` is that of a proxy."""
        return f"postgresql+{driver}://{user}@{HOST}:{port or self.port}/{database}"

    def start(self, *options: str) -> None:
        """Start on the same port and data, with these options; return when a login succeeds.

        Raises:
            ServerError: when it does not start.
        """
        self.options = options
        settings = [word for option in (f"port={self.port}", *COMMON_OPTIONS, *options) for word in ("-c", option)]
        programs = self._installation.enter_context(self.program.installed())
        command = unprivileged([str(programs / "postgres"), "-D", str(self.data), *settings])
        self.process = start("database server", command, self.folder / "log")
        self._wait_for_login()

    def stop(self) -> None:
        """Shut down at once, but in order: sessions are ended."""
        self._signal_and_wait(signal.SIGINT)

    def kill(self) -> None:
        """Kill every process of the server, as in a crash of the machine."""
        self._signal_and_wait(signal.SIGKILL)

    def restart(self, *options: str) -> None:
        """Stop, and start again with these options."""
        self.stop()
        self.start(*options)

    def pause(self) -> None:
        """Freeze the server with all its sessions: connections stay open without responses."""
        self._signal_group(signal.SIGSTOP)

    def resume(self) -> None:
        """Continue after `pause`."""
        self._signal_group(signal.SIGCONT)

    def execute(self, statement: str, arguments: Sequence[Any] = (), database: str = SUPERUSER) -> list[Any]:
        """Execute one statement as the superuser, on a connection of its own; return its rows."""
        with closing(self.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(statement, arguments or None)
            return list(cursor.fetchall()) if cursor.description else []

    def create_database(self, name: str, owner: str = SUPERUSER) -> None:
        """Create a database; where its owner is another role, the role is created as well, without any privilege."""
        if owner != SUPERUSER:
            self.execute(f'CREATE ROLE "{owner}" LOGIN')
        self.execute(f'CREATE DATABASE "{name}" OWNER "{owner}"')

    def set_globally(self, name: str, value: str) -> None:
        """Set a parameter for all sessions, as an operator does, and wait until the sessions of others have it."""
        self.execute(f"ALTER SYSTEM SET {name} = {value}")
        self.execute("SELECT pg_reload_conf()")
        deadline = time.monotonic() + START_TIMEOUT
        while self.execute(f"SHOW {name}") != [(value,)]:
            if time.monotonic() > deadline:
                raise ServerError(f"{name} did not become {value}.")
            time.sleep(POLL_INTERVAL)

    def connect(self, database: str = SUPERUSER) -> Any:
        """Return a connection of the driver's own kind, as the superuser, in autocommit."""
        connection = _driver().connect(
            host=HOST, port=self.port, user=SUPERUSER, dbname=database, sslmode="disable", connect_timeout=10
        )
        connection.autocommit = True
        return connection

    def _wait_for_login(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while self.process is not None and self.process.poll() is None and time.monotonic() < deadline:
            with suppress(_driver().OperationalError):
                self.connect().close()
                return
            time.sleep(POLL_INTERVAL)
        self.kill()
        raise ServerError(f"PostgreSQL did not start. Its log ends:\n{tail(self.folder / 'log')}")

    def _signal_and_wait(self, signal_number: signal.Signals) -> None:
        if self.process is None:
            return
        if signal_number is signal.SIGKILL:
            self._signal_group(signal_number)
        else:
            self.process.send_signal(signal_number)
        self._signal_group(signal.SIGCONT)
        self.process.wait(STOP_TIMEOUT)
        self.process = None
        self._installation.close()

    def _signal_group(self, signal_number: signal.Signals) -> None:
        """Signal the server and its sessions, each of which is a process and leads a session of its own."""
        if self.process is None:
            return
        for pid in (self.process.pid, *_children(self.process.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal_number)


def get_postgresql(suite: str = "sid") -> PostgresqlProgram:
    """Return Debian's PostgreSQL of a suite, unpacked once."""
    release = RELEASES[suite]
    name = "postgresql" if suite == "sid" else f"postgresql-{suite}"
    return PostgresqlProgram(unpack_packages(name, f"postgresql-{release}", suite=suite), release)


def start_postgresql(folder: Path, *options: str, suite: str = "sid") -> PostgresqlServer:
    """Start a server with fresh data in `folder`, on a free port.

    Raises:
        ServerError: when it does not start.
    """
    program = get_postgresql(suite)
    template = _fresh_data(program)
    folder.mkdir(parents=True)
    server = PostgresqlServer(program, folder, free_port())
    shutil.copytree(template, server.data, symlinks=True)
    give_away(server.data)
    server.start(*options)
    return server


def _fresh_data(program: PostgresqlProgram) -> Path:
    """Return data that are initialised once on this machine: it takes longer than a start."""
    return initialise_once(f"postgresql-{program.release}-data", lambda data: _initialise(program, data))


def _initialise(program: PostgresqlProgram, target: Path) -> None:
    with program.installed() as programs:
        data = programs.parent / "data"
        choices = ["--auth=trust", f"--username={SUPERUSER}", "--encoding=UTF8", "--no-locale", "--no-sync"]
        command = unprivileged([str(programs / "initdb"), "-D", str(data), *choices])
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - Debian's program
        if done.returncode:
            raise ServerError(f"initdb could not make fresh data. It said:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
        shutil.copytree(data, target, symlinks=True)


def _public_folder() -> str:
    """Return a folder for temporary files that an ordinary user may enter; tests set that of this process to theirs."""
    return "/tmp" if os.geteuid() == 0 else tempfile.gettempdir()  # noqa: S108 - the names in it are not predictable


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    return []


def _driver() -> Any:
    """Return psycopg by way of SQLAlchemy: only poolproof's drivers import it."""
    return make_url("postgresql+psycopg://").get_dialect().import_dbapi()
