"""LOAD DATA LOCAL with rows that are made here; no file is ever read, whatever a server asks for."""

from __future__ import annotations

from typing import Any

from pymysql.connections import MySQLResult
from pymysql.err import NotSupportedError
from sqlalchemy import Connection

PACKET = 64 * 1024
"""Bytes sent at once."""


class Answer(MySQLResult):
    """What a server answers; when it asks for a file it is sent what we have made, else nothing."""

    def __init__(self, connection: Any, to_load: bytes | None) -> None:
        """Send `to_load` when the server asks."""
        super().__init__(connection)
        self._to_load = to_load

    def _read_load_local_packet(self, first_packet: Any) -> None:
        connection: Any = self.connection
        content = self._to_load or b""
        for start in range(0, len(content), PACKET):
            connection.write_packet(content[start : start + PACKET])
        # An empty one ends it; the server answers in any case, with a count or with an error.
        connection.write_packet(b"")
        self._read_ok_packet(connection._read_packet())  # type: ignore[attr-defined]  # noqa: SLF001
        if self._to_load is None:
            raise NotSupportedError("The server has asked for a file of this machine; it was given nothing.")


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
