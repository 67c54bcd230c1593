"""Which privileges on its own tables an account lacks.

Found by statements that the server would refuse, and not by reading the text of its grants: so roles and privileges
that were taken away in part count as they do for real statements. EXPLAIN needs the privileges of what it explains,
and changes nothing.
"""

from __future__ import annotations

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

ACCESS_DENIED_ERROR = 1142
"""ER_TABLEACCESS_DENIED_ERROR: the account lacks a privilege on a table."""
_STATEMENTS = {
    "INSERT": "EXPLAIN INSERT INTO alembic_version (version_num) VALUES ('')",
    "UPDATE": "EXPLAIN UPDATE alembic_version SET version_num = '' WHERE version_num = ''",
    "DELETE": "EXPLAIN DELETE FROM alembic_version WHERE version_num = ''",
}
"""On a table that every schema of ours has; without SELECT no start gets as far as this."""


def missing_privileges(connection: Connection) -> list[str]:
    """Return the privileges without which no answer could be stored; three statements, none on SQLite."""
    if connection.dialect.name == "sqlite":
        return []
    return [name for name, statement in _STATEMENTS.items() if _is_denied(connection, statement)]


def _is_denied(connection: Connection, statement: str) -> bool:
    try:
        connection.exec_driver_sql(statement)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return error.orig is not None and error.orig.args[0] == ACCESS_DENIED_ERROR
    return False
