"""What the database server allows, and what it has seen, as it says itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import Connection, text

_BUDGET_STATUS_VARIABLES = ("Threads_connected", "Max_used_connections", "Connection_errors_max_connections")
_ADMIN_GRANT = re.compile(r"\b(SUPER|CONNECTION_ADMIN|CONNECTION ADMIN)\b|ALL PRIVILEGES ON \*\.\*")


@dataclass(frozen=True)
class ServerInfo:
    """The server's own words; numbers are None or 0 where there is no server (SQLite).

    `others` counts connections that are not of this account in this schema, `refused` those
    turned away at max_connections since the server started.
    """

    flavour: str
    version: str
    wait_timeout: int | None = None
    max_connections: int | None = None
    max_user_connections: int = 0
    """0: no limit for the account."""
    max_used_connections: int = 0
    foreign_connections: int = 0
    refused: int = 0
    read_only: bool = False
    is_administrator: bool = False


def read_server_info(connection: Connection) -> ServerInfo:
    """Ask the server behind `connection`; five statements."""
    if connection.dialect.name == "sqlite":
        return ServerInfo("sqlite", connection.execute(text("SELECT sqlite_version()")).scalar_one())
    # The session's max_user_connections is what holds for this account, whoever has set it.
    limits = connection.execute(
        text(
            "SELECT VERSION(), @@wait_timeout, @@max_connections, @@session.max_user_connections, @@global.read_only,"
            " (SELECT COUNT(*) FROM information_schema.processlist"
            "   WHERE user = SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AND db <=> DATABASE())"
        )
    ).one()
    status = {name: _read_status_variable(connection, name) for name in _BUDGET_STATUS_VARIABLES}
    grants = " ".join(connection.execute(text("SHOW GRANTS")).scalars())
    return ServerInfo(
        flavour="mariadb" if "mariadb" in limits[0].lower() else "mysql",
        version=limits[0],
        wait_timeout=int(limits[1]),
        max_connections=int(limits[2]),
        max_user_connections=int(limits[3]),
        max_used_connections=status["Max_used_connections"],
        foreign_connections=max(0, status["Threads_connected"] - int(limits[5])),
        refused=status["Connection_errors_max_connections"],
        read_only=bool(int(limits[4])),
        is_administrator=_ADMIN_GRANT.search(grants) is not None,
    )


def _read_status_variable(connection: Connection, name: str) -> int:
    return int(connection.execute(text("SHOW GLOBAL STATUS LIKE :name"), {"name": name}).one()[1])
