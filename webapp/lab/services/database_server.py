"""Real database servers on fresh data, which can be started in a second or two, stopped, killed, paused and restarted.

python -m webapp.lab.services.database_server mysql FOLDER [OPTION...]   runs one until Ctrl-C and prints its address
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from webapp.lab.services.data_directory import cached_data_directory, server_command
from webapp.lab.services.processes import HOST, free_port, start, tail
from webapp.lab.services.programs import PROGRAM_NAMES, Flavour, Program, ServerError, get_program

START_TIMEOUT = STOP_TIMEOUT = 60.0
"""Seconds."""
SOCKET = "server.sock"
"""In the data directory, into which a server changes; the path of a socket may have 107 bytes at most."""


@dataclass
class DatabaseServer:
    """A server process of ours on 127.0.0.1; root has no password."""

    program: Program
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    base_options: tuple[str, ...] = ()
    """Options of every start."""
    options: tuple[str, ...] = field(default=())
    """Further options of the last start."""

    @property
    def flavour(self) -> Flavour:
        """The product: mysql or mariadb."""
        return self.program.flavour

    @property
    def version(self) -> str:
        """The version as numbers, e.g. 9.7.0."""
        return self.program.version

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "data"

    @property
    def tls_ca(self) -> Path:
        """The certificate authority that MySQL made for itself."""
        return self.data / "ca.pem"

    def url(self, database: str = "", user: str = "root", password: str = "", port: int | None = None) -> str:
        """Return the URL for SQLAlchemy; `port` is that of a proxy."""
        secret = f":{password}" if password else ""
        return f"mysql+pymysql://{user}{secret}@{HOST}:{port or self.port}/{database}"

    def start(self, *options: str) -> None:
        """Start on the same port and data, with these options; return when a login succeeds.

        Raises:
            ServerError: when it does not start.
        """
        self.options = options
        own_files = [f"--port={self.port}", f"--socket={SOCKET}", f"--pid-file={self.folder / 'pid'}"]
        command = [*server_command(self.program, self.data), *own_files, *self.base_options, *options]
        self.process = start("database server", command, self.folder / "log")
        self._wait_for_login()

    def stop(self) -> None:
        """Shut down in order and wait for the end."""
        self._signal_and_wait(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the process, as in a crash."""
        self._signal_and_wait(signal.SIGKILL)

    def restart(self, *options: str) -> None:
        """Stop, and start again with these options."""
        self.stop()
        self.start(*options)

    def pause(self) -> None:
        """Freeze the server: connections stay open without responses; return when every thread has stopped.

        Raises:
            ServerError: when a thread does not stop.
        """
        os.kill(self._running.pid, signal.SIGSTOP)
        deadline = time.monotonic() + STOP_TIMEOUT
        # Systems other than Linux do not list the threads.
        while (states := set(self._thread_states())) and states != {"T"}:
            if time.monotonic() > deadline:
                raise ServerError("The server could not be frozen.")
            time.sleep(0.005)

    def resume(self) -> None:
        """Continue after `pause`."""
        os.kill(self._running.pid, signal.SIGCONT)

    def execute(
        self, statement: str, arguments: Sequence[Any] = (), database: str | None = None
    ) -> list[tuple[Any, ...]]:
        """Execute one statement as root, on a connection of its own; return its rows."""
        with closing(self.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(statement, arguments or None)
            return list(cursor.fetchall())

    def create_database(self, name: str) -> None:
        """Create an empty schema."""
        self.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")

    def connect(self, database: str | None = None) -> Any:
        """Return a connection of the driver's own kind, as root, in autocommit."""
        return _driver().connect(
            host=HOST, port=self.port, user="root", database=database, autocommit=True, ssl_disabled=True,
            connect_timeout=5, read_timeout=30,
        )  # fmt: skip

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            raise ServerError("The server is not running.")
        return self.process

    def _thread_states(self) -> Iterator[str]:
        for stat in Path(f"/proc/{self._running.pid}/task").glob("*/stat"):
            # A thread may end before it can be stopped. "pid (name) state …": the name may contain blanks and brackets.
            with suppress(FileNotFoundError, ProcessLookupError):
                yield stat.read_text().rpartition(")")[2].split()[0]

    def _wait_for_login(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self._running.poll() is None:
            with suppress(_driver().Error):
                self.connect().close()
                return
            time.sleep(0.05)
        self.kill()
        raise ServerError(f"{self.program.path} did not start. Its log ends:\n{tail(self.folder / 'log')}")

    def _signal_and_wait(self, signal_number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(signal_number)
            # A frozen process receives SIGTERM only after SIGCONT.
            self.process.send_signal(signal.SIGCONT)
            self.process.wait(STOP_TIMEOUT)
            self.process = None


def new_server(flavour: Flavour, folder: Path, *options: str) -> DatabaseServer:
    """Start a server with fresh data in `folder`, on a free port."""
    program = get_program(flavour)
    return start_server(program, cached_data_directory(program), folder, *options)


def start_server(
    program: Program, template: Path, folder: Path, *options: str, base_options: Sequence[str] = ()
) -> DatabaseServer:
    """Start a server on a copy of these data in `folder`, on a free port.

    Raises:
        ServerError: when it does not start.
    """
    folder.mkdir(parents=True)
    server = DatabaseServer(program, folder, free_port(), base_options=tuple(base_options))
    shutil.copytree(template, server.data)
    server.start(*options)
    return server


def _driver() -> Any:
    """Return PyMySQL by way of SQLAlchemy: only `poolproof.drivers.mysql.connection` imports it."""
    return make_url("mysql+pymysql://").get_dialect().import_dbapi()


def main() -> None:
    """Run a server in the foreground."""
    flavour = next((name for name in PROGRAM_NAMES if sys.argv[1:2] == [name]), None)
    if flavour is None or len(sys.argv) == 2:  # noqa: PLR2004 - a flavour and no folder
        sys.exit(__doc__)
    server = new_server(flavour, Path(sys.argv[2]), *sys.argv[3:])
    server.create_database("poolproof")
    print(server.url("poolproof"), flush=True)  # noqa: T201 - what it is for
    try:
        if server.process is not None:
            server.process.wait()
    except KeyboardInterrupt:
        server.stop()


if __name__ == "__main__":
    main()
