"""PgBouncer in front of a PostgreSQL of ours, for tests of what works behind it."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from webapp.lab.services.debian import loader_command, unpack_packages
from webapp.lab.services.postgresql_server import PostgresqlServer
from webapp.lab.services.processes import HOST, free_port, start, stop, tail
from webapp.lab.services.programs import ServerError
from webapp.lab.services.unprivileged import give_away, unprivileged

START_TIMEOUT = STOP_TIMEOUT = 30.0
"""Seconds."""
POLL_INTERVAL = 0.02
_FIXED = {"listen_addr": HOST, "unix_socket_dir": "", "auth_type": "any", "pool_mode": "transaction"}


@dataclass
class PgBouncer:
    """A process of ours on 127.0.0.1; whoever connects becomes the given role, without a password."""

    port: int
    process: subprocess.Popen[bytes]

    def url(self, database: str, user: str, driver: str = "psycopg") -> str:
        """Return the URL for SQLAlchemy."""
        return f"postgresql+{driver}://{user}@{HOST}:{self.port}/{database}"

    def stop(self) -> None:
        """Stop it, with all connections through it."""
        stop(self.process, STOP_TIMEOUT)


def start_pgbouncer(server: PostgresqlServer, folder: Path, user: str, settings: Mapping[str, str]) -> PgBouncer:
    """Start one that connects to every database of `server` as `user`, with these further settings.

    Raises:
        ServerError: when it does not start.
    """
    folder.mkdir(parents=True)
    port, file, log = free_port(), folder / "pgbouncer.ini", folder / "log"
    lines = [f"{name} = {value}" for name, value in {**_FIXED, "listen_port": str(port), **settings}.items()]
    databases = f"* = host={HOST} port={server.port} user={user}"
    file.write_text("\n".join(["[databases]", databases, "[pgbouncer]", *lines, ""]))
    give_away(folder)
    root = unpack_packages("pgbouncer", "pgbouncer")
    command = loader_command(root, root / "usr" / "sbin" / "pgbouncer")
    bouncer = PgBouncer(port, start("PgBouncer", unprivileged([*command, str(file)]), log))
    deadline = time.monotonic() + START_TIMEOUT
    while bouncer.process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return bouncer
        time.sleep(POLL_INTERVAL)
    bouncer.stop()
    raise ServerError(f"PgBouncer did not start. Its log ends:\n{tail(log)}")
