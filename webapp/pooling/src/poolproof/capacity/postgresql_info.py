"""What a PostgreSQL server reports about itself: its limits, its load, its connections.

Each role sees every session's process id, database and role in `pg_stat_activity`, and of sessions of its own what they
are doing.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text

_LIMITS = text(
    """
    SELECT current_setting('server_version') AS version,
        extract(epoch FROM coalesce(current_setting('idle_session_timeout', true), '0')::interval)::int AS idle_timeout,
        current_setting('max_connections')::int AS max_connections,
        current_setting('superuser_reserved_connections')::int
            + coalesce(current_setting('reserved_connections', true), '0')::int AS reserved,
        current_setting('default_transaction_read_only')::boolean OR pg_is_in_recovery() AS read_only,
        r.rolsuper AS is_superuser, r.rolconnlimit AS role_limit, d.datconnlimit AS database_limit
    FROM pg_roles r, pg_database d WHERE r.rolname = current_user AND d.datname = current_database()
    """
)
_SESSIONS = text(
    """
    SELECT count(*) FILTER (WHERE NOT (is_role AND is_database)) AS others,
        count(*) FILTER (WHERE is_role AND NOT is_database) AS role_elsewhere,
        count(*) FILTER (WHERE is_database AND NOT is_role) AS others_in_database
    FROM (
        SELECT usename = current_user AS is_role, datname = current_database() AS is_database
        FROM pg_stat_activity
        WHERE datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'
    ) AS sessions
    """
)
_PROCESSES = text(
    """
    SELECT pid, state, wait_event,
        extract(epoch FROM now() - coalesce(state_change, backend_start))::int AS seconds
    FROM pg_stat_activity WHERE usename = current_user AND datname = current_database() ORDER BY pid LIMIT :most
    """
)


def read_limits(connection: Connection) -> dict[str, Any]:
    """Return the values of a `ServerInfo`; two statements.

    The limits of the role and of the database are 0 where there is none.
    """
    limits = connection.execute(_LIMITS).one()
    sessions = connection.execute(_SESSIONS).one()
    return {
        "flavour": "postgresql",
        "version": limits.version,
        "wait_timeout": limits.idle_timeout or None,
        "max_connections": limits.max_connections,
        "max_user_connections": max(0, limits.role_limit),
        "foreign_connections": sessions.others,
        "read_only": limits.read_only,
        "is_administrator": limits.is_superuser,
        "reserved_connections": limits.reserved,
        "role_connections_elsewhere": sessions.role_elsewhere,
        "max_database_connections": max(0, limits.database_limit),
        "foreign_database_connections": sessions.others_in_database,
    }


def read_processes(connection: Connection, most: int) -> dict[str, dict[str, Any]]:
    """Return the sessions of this role in this database, by the ids that our checkouts have; one statement."""
    rows = connection.execute(_PROCESSES, {"most": most})
    return {
        str(row.pid): {"command": row.state or "", "seconds": max(0, row.seconds), "state": row.wait_event or ""}
        for row in rows
    }
