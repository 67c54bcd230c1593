"""The connection of the MySQL driver: what needs no server; the rest is in tests/integration."""

from __future__ import annotations

from typing import Any, cast

import pymysql
import pytest
from pymysql.constants import CLIENT, SERVER_STATUS
from sqlalchemy import Connection, make_url

from poolproof.drivers.mysql.connection import TrackedConnection, connect_args, insert_select_row_count
from poolproof.settings import PoolSettings

LOCAL = make_url("mysql+pymysql://user@127.0.0.1/schema")


class Silent(TrackedConnection):
    """Ends transactions without a server; counts what it would have sent."""

    def __init__(self) -> None:
        super().__init__(defer_connect=True)
        self.sent: list[Any] = []

    def _execute_command(self, command: int, sql: Any) -> None:
        self.sent.append(sql)

    def _read_ok_packet(self) -> None:
        """Take any answer for a good one."""


class Message:
    """A result with the words that a server says at its end."""

    def __init__(self, message: bytes | None) -> None:
        self.message = message


def sqlalchemy_connection(result: Message | None) -> Connection:
    """Return what `insert_select_row_count` looks at of a connection."""

    class Double:
        dbapi_connection: Any = None

    double = Double()
    double.dbapi_connection = Double()
    double.dbapi_connection._result = result
    outer = Double()
    outer.connection = double  # type: ignore[attr-defined]
    return cast("Connection", outer)


def test_every_wait_is_bounded_and_no_context_is_made_without_tls() -> None:
    arguments = connect_args(PoolSettings(connect_timeout=1.5, write_timeout=7, tls="off"), LOCAL)
    assert (arguments["connect_timeout"], arguments["read_timeout"], arguments["write_timeout"]) == (1.5, 1.5, 7)
    assert arguments["ssl_disabled"] is True
    assert "ssl_disabled" not in connect_args(PoolSettings(tls="required"), LOCAL)


def test_a_transaction_is_ended_only_where_one_is_open() -> None:
    connection = Silent()
    connection.commit()
    connection.rollback()
    assert (connection.sent, connection.statement_count) == ([], 0)
    connection.server_status = SERVER_STATUS.SERVER_STATUS_IN_TRANS
    connection.rollback()
    connection.commit()
    assert (connection.sent, connection.statement_count) == (["ROLLBACK", "COMMIT"], 2)
    assert connection.query_started_at is None


def test_the_server_may_ask_for_what_is_to_be_loaded() -> None:
    assert Silent().client_flag & CLIENT.LOCAL_FILES


def test_a_statement_that_fails_is_counted_and_does_not_run_any_more() -> None:
    connection = Silent()
    with pytest.raises(pymysql.err.Error):
        TrackedConnection(defer_connect=True).query("SELECT 1")
    with pytest.raises(AttributeError):
        connection.query("SELECT 1")
    assert (connection.statement_count, connection.query_started_at) == (1, None)


@pytest.mark.parametrize(
    ("result", "count"),
    [(Message(b"Records: 3  Duplicates: 1  Warnings: 0"), 3), (Message(None), 4), (None, 4)],
)
def test_rows_are_counted_once_also_where_the_server_counts_an_update_twice(result: Message | None, count: int) -> None:
    assert insert_select_row_count(sqlalchemy_connection(result), 4) == count
