"""LOAD DATA LOCAL with content from memory; a server never gets a file (see `LocalInfileResult`)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection


def supports_local_infile(connection: Connection) -> bool:
    """Say whether the server takes LOAD DATA LOCAL; MySQL does not unless told so, MariaDB does."""
    if connection.dialect.name == "sqlite":
        return False
    return bool(connection.exec_driver_sql("SELECT @@local_infile").scalar())


def load_data(connection: Connection, statement: str, content: bytes) -> tuple[int, int]:
    """Execute a LOAD DATA LOCAL INFILE, of whatever name, with this content; return how many rows and warnings it made.

    What is wrong with a row is only a warning here, and a row whose key is taken is left out with one.
    """
    raw: Any = connection.connection.dbapi_connection
    raw.local_infile_content = content
    try:
        rows = connection.exec_driver_sql(statement).rowcount
    finally:
        raw.local_infile_content = None
    return rows, raw.last_warning_count
