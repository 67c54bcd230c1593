"""LOAD DATA LOCAL with content from memory; a server never gets a file (see `LocalInfileResult`)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection


def supports_local_infile(connection: Connection) -> bool:
    """Say whether the server allows LOAD DATA LOCAL; MySQL does not by default, MariaDB does."""
    if connection.dialect.name == "sqlite":
        return False
    return bool(connection.exec_driver_sql("SELECT @@local_infile").scalar())


def load_data(connection: Connection, statement: str, content: bytes) -> tuple[int, int]:
    """Execute a LOAD DATA LOCAL INFILE with this content; return the numbers of inserted rows and of warnings.

    The name of the file does not matter. An error in a row is only a warning, and a row whose key exists already is
    skipped with a warning.
    """
    raw: Any = connection.connection.dbapi_connection
    raw.local_infile_content = content
    try:
        rows = connection.exec_driver_sql(statement).rowcount
    finally:
        raw.local_infile_content = None
    return rows, raw.last_warning_count
