"""Whether the database is a node of a cluster whose nodes do not see each other's row locks."""

from __future__ import annotations

from sqlalchemy import Connection, text

_WSREP_ON = text("SHOW VARIABLES LIKE 'wsrep_on'")


def row_locks_are_local(connection: Connection) -> bool:
    """Say whether a row lock is only held on this node, as in Galera: only a changed row is noticed by the others."""
    if connection.dialect.name == "sqlite":
        return False
    row = connection.execute(_WSREP_ON).one_or_none()
    return row is not None and row[1] == "ON"
