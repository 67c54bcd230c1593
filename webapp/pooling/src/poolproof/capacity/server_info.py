"""What the database server reports about itself: its limits, its load, its connections."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from poolproof.capacity import postgresql_info
from poolproof.leaks.checkout_registry import MAX_STATEMENT_LENGTH

STATUS_VARIABLES = (
    "Threads_connected",
    "Threads_running",
    "Max_used_connections",
    "Aborted_clients",
    "Aborted_connects",
    "Connection_errors_max_connections",
    "Questions",
    "Slow_queries",
    "Uptime",
)
MAX_PROCESSES = 500
MAX_SLOW_STATEMENTS = 8
PICOSECONDS_PER_SECOND = 10**12


def read_global_status(connection: Connection) -> dict[str, int]:
    """Return the server's counters that are of interest here; one statement."""
    names = ", ".join(f"'{name}'" for name in STATUS_VARIABLES)
    rows = connection.execute(text(f"SHOW GLOBAL STATUS WHERE Variable_name IN ({names})"))
    return {str(name): int(value) for name, value in rows}


def read_processlist(connection: Connection) -> dict[str, dict[str, Any]]:
    """Return the connections of this account in this schema, by their ids; one statement.

    An account sees its own connections without any privilege.
    """
    if connection.dialect.name == "postgresql":
        return postgresql_info.read_processes(connection, MAX_PROCESSES)
    rows = connection.execute(
        text(
            "SELECT id, command, time, state FROM information_schema.processlist"
            " WHERE user = SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AND db <=> DATABASE() ORDER BY id LIMIT :most"
        ),
        {"most": MAX_PROCESSES},
    )
    return {
        str(row.id): {"command": row.command, "seconds": int(row.time or 0), "state": row.state or ""} for row in rows
    }


def read_slow_statements(connection: Connection) -> list[dict[str, Any]] | str:
    """Return the statements of this schema that took most of the server's time; or why that is not known.

    Their text is a digest, without any value.
    """
    try:
        rows = connection.execute(
            text(
                "SELECT digest_text, count_star, sum_timer_wait, max_timer_wait, sum_rows_examined"
                " FROM performance_schema.events_statements_summary_by_digest"
                " WHERE schema_name = DATABASE() AND digest_text IS NOT NULL ORDER BY sum_timer_wait DESC LIMIT :most"
            ),
            {"most": MAX_SLOW_STATEMENTS},
        ).all()
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return "The account may not read performance_schema; GRANT SELECT ON performance_schema.* TO it to see them."
    if not rows:
        return "performance_schema has nothing of this schema; on MariaDB it is off by default (performance_schema=ON)."
    return [
        {
            "statement": " ".join(row.digest_text.split())[:MAX_STATEMENT_LENGTH],
            "count": int(row.count_star),
            "seconds": float(row.sum_timer_wait) / PICOSECONDS_PER_SECOND,
            "longest": float(row.max_timer_wait) / PICOSECONDS_PER_SECOND,
            "rows": int(row.sum_rows_examined),
        }
        for row in rows
    ]


_ADMIN_GRANT = re.compile(r"\b(SUPER|CONNECTION_ADMIN|CONNECTION ADMIN)\b|ALL PRIVILEGES ON \*\.\*")


@dataclass(frozen=True)
class ServerInfo:
    """The limits and counters of a server; numbers are None or 0 where there is no server (SQLite).

    `foreign_connections` counts connections that are not of this account in this schema, `refused` the connects that
    the server has refused at max_connections since it started.
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
    """None is known of PostgreSQL, which does not count them."""
    read_only: bool = False
    is_administrator: bool = False
    reserved_connections: int = 0
    """PostgreSQL: how many of max_connections an ordinary role cannot have."""
    role_connections_elsewhere: int = 0
    """PostgreSQL: connections of this role in other databases, which its limit counts as well."""
    max_database_connections: int = 0
    """PostgreSQL: the database's own limit; 0: none."""
    foreign_database_connections: int = 0
    """PostgreSQL: connections of other roles in this database."""


def read_server_info(connection: Connection) -> ServerInfo:
    """Read the limits and counters of the server behind `connection`; three statements at most."""
    if connection.dialect.name == "postgresql":
        return ServerInfo(**postgresql_info.read_limits(connection))
    if connection.dialect.name == "sqlite":
        return ServerInfo("sqlite", connection.execute(text("SELECT sqlite_version()")).scalar_one())
    # The session's max_user_connections is the one that applies to this account, wherever it was set.
    limits = connection.execute(
        text(
            "SELECT VERSION(), @@wait_timeout, @@max_connections, @@session.max_user_connections, @@global.read_only,"
            " (SELECT COUNT(*) FROM information_schema.processlist"
            "   WHERE user = SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AND db <=> DATABASE())"
        )
    ).one()
    status = read_global_status(connection)
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


class Probe:
    """Checks that the database answers, with the smallest statement."""

    def __init__(self, engine: Engine) -> None:
        """Check on `engine`, whose waits should be short."""
        self.engine = engine

    def check(self) -> str | None:
        """Return None when the database answers, otherwise one sentence that says what is wrong."""
        try:
            with self.engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            return f"The database does not answer: {type(error).__name__}."
        return None
