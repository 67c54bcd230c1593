"""The connection of the MySQL driver: what needs no server; the rest is in tests/integration."""

from __future__ import annotations

from typing import Any

import pymysql
import pytest
from pymysql.constants import CLIENT, SERVER_STATUS

from poolproof.drivers.mysql.connection import (
    TrackedConnection,
    init_session_statement,
)
from poolproof.settings import PoolSettings


class Silent(TrackedConnection):
    """Ends transactions without a server; counts what it would have sent."""

    def __init__(self) -> None:
        super().__init__(defer_connect=True)
        self.sent: list[Any] = []

    def _execute_command(self, command: int, sql: Any) -> None:
        self.sent.append(sql)

    def _read_ok_packet(self) -> None:
        """Take any reply for a good one."""


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("9.7.4", ("SESSION max_execution_time = 2500", "SESSION transaction_isolation = 'READ-COMMITTED'")),
        ("5.5.5-10.11.6-MariaDB", ("SESSION max_statement_time = 2.5", "SESSION tx_isolation = 'READ-COMMITTED'")),
    ],
)
def test_a_session_is_set_in_the_servers_own_words(version: str, words: tuple[str, ...]) -> None:
    statement = init_session_statement(version, PoolSettings(statement_timeout=2.5))
    assert statement.startswith("SET SESSION time_zone = '+00:00'")
    assert "SESSION autocommit = 1" in statement
    assert all(word in statement for word in words)


@pytest.mark.parametrize("version", ["9.7.4", "5.5.5-10.11.6-MariaDB"])
def test_a_session_waits_for_a_lock_as_long_as_it_is_set_in_whole_seconds(version: str) -> None:
    statement = init_session_statement(version, PoolSettings(lock_wait_timeout=3))
    assert "SESSION innodb_lock_wait_timeout = 3" in statement


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


def test_a_connection_is_lent_again_only_as_it_was_set_up() -> None:
    connection = Silent()
    connection._sock = object()
    connection.server_status = SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT
    assert connection.is_reusable()
    connection.server_status |= SERVER_STATUS.SERVER_STATUS_IN_TRANS
    assert not connection.is_reusable()
    connection.server_status = 0
    assert not connection.is_reusable(), "autocommit is off"
    connection.server_status = SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT
    connection.session_changed = True
    assert not connection.is_reusable()
    connection.session_changed, connection._sock = False, None
    assert not connection.is_reusable(), "it is closed"


def test_a_level_before_the_session_is_set_up_is_that_of_all_checkouts() -> None:
    connection = Silent()
    connection.use_isolation_level("SERIALIZABLE")
    assert "transaction_isolation = 'SERIALIZABLE'" in init_session_statement("9.7.4", PoolSettings(), "SERIALIZABLE")
    connection.restore_isolation_level()
    assert (connection.isolation_level, connection.sent) == ("SERIALIZABLE", [])
    connection.use_isolation_level("AUTOCOMMIT")
    assert connection.is_autocommit
