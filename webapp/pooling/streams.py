"""LOAD DATA LOCAL with rows that are made here; no file is ever read, whatever a server asks for."""

from __future__ import annotations

from typing import Any

from pymysql.connections import MySQLResult
from sqlalchemy import Connection

PACKET = 64 * 1024
"""Bytes sent at once."""


class Loaded(MySQLResult):
    """The result of a LOAD DATA LOCAL that is sent what we have made; the name of a file means nothing here."""

    def __init__(self, connection: Any, content: bytes) -> None:
        """Send `content` when the server asks."""
        super().__init__(connection)
        self._content = content

    def _read_load_local_packet(self, first_packet: Any) -> None:
        connection: Any = self.connection
        for start in range(0, len(self._content), PACKET):
            connection.write_packet(self._content[start : start + PACKET])
        # An empty one ends it; the server answers in both cases, with a count or with an error.
        connection.write_packet(b"")
        self._read_ok_packet(connection._read_packet())  # type: ignore[attr-defined]  # noqa: SLF001


def may_load(connection: Connection) -> bool:
    """Say whether the server takes LOAD DATA LOCAL; MySQL does not unless told so, MariaDB does."""
    if connection.dialect.name == "sqlite":
        return False
    return bool(connection.exec_driver_sql("SELECT @@local_infile").scalar())


def load(connection: Connection, statement: str, content: bytes) -> tuple[int, int]:
    """Execute a LOAD DATA LOCAL INFILE, of whatever name, with this content; return how many rows and warnings it made.

    What is wrong with a row is only a warning here, and a row whose key is taken is left out with one.
    """
    raw: Any = connection.connection.dbapi_connection
    raw.to_load = content
    try:
        rows = connection.exec_driver_sql(statement).rowcount
    finally:
        raw.to_load = None
    return rows, raw._result.warning_count  # noqa: SLF001
