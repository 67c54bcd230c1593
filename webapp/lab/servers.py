"""Database servers that the lab starts itself, on fresh data in a temporary folder: to be restarted, frozen, filled."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from webapp.lab.processes import start
from webapp.lab.serving import free_port

START_WITHIN = STOP_WITHIN = 60.0
"""Seconds."""
NAMES = ("mysqld", "mariadbd")
# Where distributions put servers, which is not on everybody's PATH.
ALSO_IN = ("/usr/sbin", "/usr/libexec", "/usr/local/sbin", "/usr/local/mysql/bin", "/opt/homebrew/bin")
COMMON = (
    "--bind-address=127.0.0.1",
    "--character-set-server=utf8mb4",
    "--innodb-buffer-pool-size=64M",
    "--max-connections=60",
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
SCHEMA, ACCOUNT, PASSWORD = "drill", "drill", "drill"
NO_PROGRAM = (
    "There is no MySQL or MariaDB server program: neither mysqld nor mariadbd is on the PATH or in /usr/sbin. "
    "Install one (Debian: apt install mysql-server-core, or mariadb-server-core; it need not run), name it with "
    "--mysqld PATH, or rehearse on a staging server of yours with --against URL --yes-this-is-staging."
)


class ServerProgramError(Exception):
    """There is no server program, or it did not do what it was told."""


@dataclass(frozen=True)
class Program:
    """A server program that was found."""

    path: str
    version: str

    @property
    def flavour(self) -> str:
        """Say whose it is: mysql or mariadb."""
        return "mariadb" if "mariadb" in self.version.lower() else "mysql"

    def command(self, data: Path) -> list[str]:
        """Return the words that call it on a data folder."""
        as_root = ["--user=root"] if os.geteuid() == 0 else []
        return [self.path, "--no-defaults", f"--datadir={data}", *COMMON, *OWN[self.flavour], *as_root]


@dataclass
class Server:
    """A server of the lab's own: root has no password, and it listens on this machine only."""

    program: Program
    data: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        """Keep the log beside the data."""
        self.log = self.data.with_name(f"{self.data.name}.log")

    def url(self, port: int | None = None) -> str:
        """Return the address for the application's account, which may do nothing but use its schema."""
        return f"mysql+pymysql://{ACCOUNT}:{PASSWORD}@127.0.0.1:{port or self.port}/{SCHEMA}"

    def start(self) -> None:
        """Start on the same port and data; returns when a login succeeds.

        Raises:
            ServerProgramError: when it does not come up.
        """
        files = [f"--port={self.port}", f"--socket={self.data}.sock", f"--pid-file={self.data}.pid"]
        self.process = start([*self.program.command(self.data), *files], self.log)
        deadline = time.monotonic() + START_WITHIN
        while time.monotonic() < deadline and self.process.poll() is None:
            with suppress(DBAPIError):
                self.execute("SELECT 1")
                return
            time.sleep(0.05)
        raise ServerProgramError(f"{self.program.path} did not start. Its log ends:\n{tail(self.log)}")

    def stop(self) -> None:
        """Shut down in order and wait for it."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it answer nobody any more, with all connections open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def execute(self, statement: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Run one statement as root on a connection of its own; returns the rows, if it has any."""
        engine = create_engine(
            f"mysql+pymysql://root@127.0.0.1:{self.port}/", poolclass=NullPool, isolation_level="AUTOCOMMIT",
            connect_args={"ssl_disabled": True, "connect_timeout": 5, "read_timeout": 30},
        )  # fmt: skip
        with engine.connect() as connection:
            result = connection.execute(text(statement), values or {})
            return [tuple(row) for row in result] if result.returns_rows else []

    def _signal(self, what: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(what)

    def _end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(how)
        # A frozen process hears SIGTERM only when it goes on.
        self.process.send_signal(signal.SIGCONT)
        self.process.wait(STOP_WITHIN)
        self.process = None


def find_program(given: str | None) -> Program:
    """Return the server program that was named, or else the first on the PATH or where distributions put it.

    Raises:
        ServerProgramError: when there is none, with what to install.
    """
    places = [given] if given else [*NAMES, *(f"{folder}/{name}" for folder in ALSO_IN for name in NAMES)]
    path = next(filter(None, map(shutil.which, places)), None)
    if path is None:
        raise ServerProgramError(f"{given} is not a program that can be run." if given else NO_PROGRAM)
    asked = subprocess.run([path, "--no-defaults", "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    found = re.search(r"Ver (\S+)", asked.stdout)
    if asked.returncode or found is None:
        raise ServerProgramError(f"{path} does not say which server it is: {(asked.stderr or asked.stdout)[-300:]}")
    return Program(path, found[1])


def initialise(program: Program, data: Path) -> None:
    """Make fresh data, with an account like an application's.

    Raises:
        ServerProgramError: when the program cannot.
    """
    command, tables = program.command(data), b""
    if program.flavour == "mysql":
        command.append("--initialize-insecure")
    else:
        data.mkdir()
        command.append("--bootstrap")
        tables = b"CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n" + _mariadb_tables(program)
    done = subprocess.run(command, input=tables, capture_output=True, check=False)  # noqa: S603 - the operator's choice
    if done.returncode:
        said = done.stderr.decode(errors="replace")[-2000:]
        raise ServerProgramError(f"{program.path} could not make fresh data in {data}. It said:\n{said}")
    # Every copy is a server of its own and makes itself another name.
    (data / "auto.cnf").unlink(missing_ok=True)


def new_server(program: Program, template: Path, data: Path, options: Sequence[str] = ()) -> Server:
    """Start a server on a copy of `template`, with the drills' schema and account in it."""
    shutil.copytree(template, data)
    server = Server(program, data, free_port())
    server.start()
    server.execute(f"CREATE DATABASE {SCHEMA} CHARACTER SET utf8mb4")
    server.execute(f"CREATE USER {ACCOUNT}@'%' IDENTIFIED BY '{PASSWORD}'")
    server.execute(f"GRANT ALL ON {SCHEMA}.* TO {ACCOUNT}@'%'")
    for option in options:
        server.execute(f"SET GLOBAL {option}")
    return server


def tail(log: Path) -> str:
    """Return the end of a log."""
    return log.read_text(errors="replace")[-2000:] if log.exists() else ""


def _mariadb_tables(program: Program) -> bytes:
    asked = subprocess.run(  # noqa: S603 - the operator's choice
        [program.path, "--no-defaults", "--verbose", "--help"], capture_output=True, text=True, check=False
    )
    found = re.search(r"^lc-messages-dir\s+(\S+)", asked.stdout, re.MULTILINE)
    folders = [Path(found[1])] if found else []
    folders += [Path(name) for name in ("/usr/share/mariadb", "/usr/share/mysql")]
    for folder in folders:
        if (folder / MARIADB_TABLES[0]).is_file():
            return b"".join((folder / name).read_bytes() for name in MARIADB_TABLES)
    raise ServerProgramError(f"{program.path} came without its system tables (mariadb_system_tables.sql).")
