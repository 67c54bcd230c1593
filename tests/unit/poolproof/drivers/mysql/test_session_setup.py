"""The statement that sets up a session; what it does is in tests/integration/test_session_defaults.py."""

from __future__ import annotations

import pytest

from poolproof.drivers.mysql.session_setup import init_session_statement
from poolproof.settings import PoolSettings


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
