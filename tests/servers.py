"""Real database servers for tests: started in a second or two, stopped, killed, frozen, restarted.

python -m tests.servers mysql FOLDER [OPTION...]   runs one until Ctrl-C and prints its address
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql

from tests.server_programs import Flavour, Program, cache_folder, find_program

START_WITHIN = 60.0
STOP_WITHIN = 60.0
# Small and durable: what is committed is on the disk, as in production.
COMMON = (
    "--bind-address=127.0.0.1",
    "--character-set-server=utf8mb4",
    "--innodb-buffer-pool-size=128M",
    "--innodb-flush-log-at-trx-commit=1",
    "--local-infile=ON",
    "--skip-log-bin",
)
OWN = {
    "mysql": ("--mysqlx=OFF", "--secure-file-priv=NULL", "--innodb-redo-log-capacity=32M"),
    "mariadb": ("--innodb-log-file-size=32M", "--performance-schema=OFF"),
}
# What MariaDB's own installer feeds to --bootstrap, in its order.
MARIADB_TABLES = (
    "mariadb_system_tables.sql",
    "mariadb_performance_tables.sql",
    "mariadb_system_tables_data.sql",
    "fill_help_tables.sql",
    "maria_add_gis_sp_bootstrap.sql",
    "mariadb_sys_schema.sql",
)


class ServerError(Exception):
    """A server did not do what it was told; the text ends with its log."""


@dataclass
class Server:
    """A server of a test's own: root without a password, on 127.0.0.1."""

    program: Program
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    options: tuple[str, ...] = field(default=())

    @property
    def flavour(self) -> Flavour:
        """mysql or mariadb."""
        return self.program.flavour

    @property
    def version(self) -> str:
        """The version as numbers, e.g. 9.7.0."""
        return self.program.version

    @property
    def tls_ca(self) -> Path:
        """The certificate authority that MySQL made for itself."""
        return self.folder / "data" / "ca.pem"

    def url(self, database: str = "", user: str = "root", password: str = "") -> str:
        """Return the address for SQLAlchemy."""
        secret = f":{password}" if password else ""
        return f"mysql+pymysql://{user}{secret}@127.0.0.1:{self.port}/{database}"

    def start(self, *options: str) -> None:
        """Start on the same port and data, with these options; returns when a login succeeds."""
        self.options = options
        command = [*self.program.command, *_base(self.program, self.folder), f"--port={self.port}", *options]
        with (self.folder / "log").open("ab") as log:
            # PDEATHSIG: a test run that is killed takes its servers with it.
            self.process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=die_with_parent)  # noqa: PLW1509
        self._wait_for_login()

    def stop(self) -> None:
        """Shut down in order and wait for it."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End at once, as a crash would."""
        self._end(signal.SIGKILL)

    def restart(self, *options: str) -> None:
        """Stop, and start again with these options."""
        self.stop()
        self.start(*options)

    def pause(self) -> None:
        """Freeze: connections stay open and nobody answers; returns when every thread has stopped."""
        os.kill(self._running.pid, signal.SIGSTOP)
        deadline = time.monotonic() + STOP_WITHIN
        while set(self._states_of_threads()) != {"T"}:
            if time.monotonic() > deadline:
                raise ServerError("The server could not be frozen.")
            time.sleep(0.005)

    def resume(self) -> None:
        """Go on after `pause`."""
        os.kill(self._running.pid, signal.SIGCONT)

    def execute(
        self, statement: str, arguments: Sequence[Any] = (), database: str | None = None
    ) -> list[tuple[Any, ...]]:
        """Run one statement as root, on a connection of its own."""
        with closing(self.connect(database)) as connection, connection.cursor() as cursor:
            cursor.execute(statement, arguments or None)
            return list(cursor.fetchall())

    def create_database(self, name: str) -> None:
        """Make an empty schema."""
        self.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")

    def _states_of_threads(self) -> Iterator[str]:
        for stat in Path(f"/proc/{self._running.pid}/task").glob("*/stat"):
            # A thread may end before it can be stopped. "pid (name) state …": the name may hold blanks and brackets.
            with suppress(FileNotFoundError, ProcessLookupError):
                yield stat.read_text().rpartition(")")[2].split()[0]

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            raise ServerError("The server is not running.")
        return self.process

    def connect(self, database: str | None = None) -> pymysql.Connection[Any]:
        """Connect as root."""
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", database=database, autocommit=True, ssl_disabled=True,
            connect_timeout=5, read_timeout=30,
        )  # fmt: skip

    def _wait_for_login(self) -> None:
        deadline = time.monotonic() + START_WITHIN
        while time.monotonic() < deadline and self._running.poll() is None:
            try:
                self.connect().close()
            except pymysql.err.OperationalError:
                time.sleep(0.05)
            else:
                return
        log = (self.folder / "log").read_text(errors="replace")[-3000:]
        raise ServerError(f"{self.flavour} did not start within {START_WITHIN:.0f} s. Its log ends:\n{log}")

    def _end(self, how: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            # A frozen process hears SIGTERM only when it goes on.
            self.process.send_signal(signal.SIGCONT)
            self.process.wait(STOP_WITHIN)
            self.process = None


def new_server(flavour: Flavour, folder: Path, *options: str) -> Server:
    """Start a server with fresh data in `folder`, on a free port."""
    program = find_program(flavour)
    folder.mkdir(parents=True)
    shutil.copytree(_template(program), folder / "data")
    server = Server(program, folder, free_port())
    server.start(*options)
    return server


def _template(program: Program) -> Path:
    """Return initialised data of this version, made once on this machine: that takes longer than all the rest."""
    folder = cache_folder() / f"{program.flavour}-{program.version}-data"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            return folder / "data"
        draft = folder.with_name(f".{folder.name}-{os.getpid()}")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        _initialise(program, draft)
        # Every copy is a server of its own and makes itself another name.
        (draft / "data" / "auto.cnf").unlink(missing_ok=True)
        draft.rename(folder)
    return folder / "data"


def _initialise(program: Program, folder: Path) -> None:
    command = [*program.command, *_base(program, folder)]
    tables = b""
    if program.flavour == "mysql":
        command.append("--initialize-insecure")
    else:
        (folder / "data").mkdir()
        command.append("--bootstrap")
        tables = b"CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n"
        tables += b"".join((program.share / name).read_bytes() for name in MARIADB_TABLES)
    with (folder / "log").open("ab") as log:
        done = subprocess.run(command, input=tables, stdout=log, stderr=log, check=False)
    if done.returncode:
        log_text = (folder / "log").read_text(errors="replace")[-3000:]
        raise ServerError(f"{program.flavour} could not initialise its data. Its log ends:\n{log_text}")


def _base(program: Program, folder: Path) -> list[str]:
    # A socket's path may have 107 bytes at most, and a test's folder is often deeper: /tmp is not.
    as_root = ["--user=root"] if os.geteuid() == 0 else []
    own_files = [f"--datadir={folder / 'data'}", f"--socket={_socket(folder)}", f"--pid-file={folder / 'pid'}"]
    return ["--no-defaults", *program.options, *own_files, *COMMON, *OWN[program.flavour], *as_root]


def _socket(folder: Path) -> str:
    return f"/tmp/poolproof-{os.getpid()}-{abs(hash(folder)) % 10**8}.sock"  # noqa: S108 - nobody connects to it


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def die_with_parent() -> None:
    """In a child, before it runs its program: end when the process that started it ends."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def main() -> None:
    """Run a server in the foreground."""
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    server = new_server(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])  # type: ignore[arg-type]
    server.create_database("poolproof")
    print(server.url("poolproof"), flush=True)  # noqa: T201 - what it is for
    try:
        server._running.wait()
    except KeyboardInterrupt:
        server.stop()


if __name__ == "__main__":
    main()
