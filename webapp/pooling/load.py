"""How busy the database server is just now, and who of ours and of others is connected to it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

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
MAX_STATEMENT_LENGTH = 300
"""Characters."""
PICOSECONDS_PER_SECOND = 10**12


def read_global_status(connection: Connection) -> dict[str, int]:
    """Return the counters of the server that say how it is; one statement."""
    names = ", ".join(f"'{name}'" for name in STATUS_VARIABLES)
    found = connection.execute(text(f"SHOW GLOBAL STATUS WHERE Variable_name IN ({names})"))
    return {str(name): int(value) for name, value in found}


def read_processlist(connection: Connection) -> dict[str, dict[str, Any]]:
    """Return the connections of this account in this schema, by the server's number; one statement.

    An account sees its own connections without any privilege.
    """
    found = connection.execute(
        text(
            "SELECT id, command, time, state FROM information_schema.processlist"
            " WHERE user = SUBSTRING_INDEX(CURRENT_USER(), '@', 1) AND db <=> DATABASE() ORDER BY id LIMIT :most"
        ),
        {"most": MAX_PROCESSES},
    )
    return {
        str(row.id): {"command": row.command, "seconds": int(row.time or 0), "state": row.state or ""} for row in found
    }


def read_slow_statements(connection: Connection) -> list[dict[str, Any]] | str:
    """Return the statements of this schema that took most of the server's time; or why that is not known.

    Their text is a digest, without any value.
    """
    try:
        found = connection.execute(
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
    if not found:
        return "performance_schema has nothing of this schema; on MariaDB it is off by default (performance_schema=ON)."
    return [
        {
            "statement": " ".join(row.digest_text.split())[:MAX_STATEMENT_LENGTH],
            "count": int(row.count_star),
            "seconds": float(row.sum_timer_wait) / PICOSECONDS_PER_SECOND,
            "longest": float(row.max_timer_wait) / PICOSECONDS_PER_SECOND,
            "rows": int(row.sum_rows_examined),
        }
        for row in found
    ]
