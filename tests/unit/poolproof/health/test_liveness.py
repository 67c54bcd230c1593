"""What is concluded from pings, errors and the ids of connections; with real servers it is in tests/integration."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pymysql
import pytest
from sqlalchemy import create_engine

from poolproof import deadlines, event_log
from poolproof.health.liveness import Liveness
from poolproof.settings import PoolSettings
from tests.support.clock import SettableClock


class Entry:
    """Stands for the pool's record of a connection."""

    def __init__(self) -> None:
        self.info: dict[str, Any] = {}


class Connection:
    """Stands for a `TrackedConnection`."""

    def __init__(self, *, is_alive: bool = True, number: int = 1) -> None:
        self.is_alive = is_alive
        self.number = number
        self.killed_by_operator = False
        self.isolation_level = "READ COMMITTED"
        self.session_changed = False
        self.open = True
        self.is_read_only = False
        self.reconnects = 0
        self.timeouts: list[tuple[float, float]] = []
        self.entry = Entry()
        self.pool_entry: Callable[[], Entry | None] = lambda: self.entry

    def responds_within(self, seconds: float, read_timeout: float) -> bool:
        self.timeouts.append((seconds, read_timeout))
        return self.is_alive

    def reconnect(self, connect_timeout: float) -> None:
        self.reconnects += 1

    def use_isolation_level(self, level: str) -> None:
        self.isolation_level = level

    def accepts_no_writes(self, seconds: float, read_timeout: float) -> bool:
        self.timeouts.append((seconds, read_timeout))
        return self.is_read_only

    def close(self) -> None:
        self.open = False

    def thread_id(self) -> int:
        return self.number


class Cursor:
    """Raises once what it is given, and counts how often it executes."""

    def __init__(self, error: Exception | None) -> None:
        self.connection = Connection()
        self.executed = 0
        self._error = error

    def execute(self, statement: str, parameters: object) -> None:
        self.executed += 1
        if self._error is not None and self.executed == 1:
            raise self._error


class Context:
    """Stands for SQLAlchemy's context of an error."""

    def __init__(self, error: BaseException, dbapi_connection: Connection | None) -> None:
        self.original_exception = error
        self.connection: Any = None
        if dbapi_connection is not None:
            proxy = SimpleNamespace(dbapi_connection=dbapi_connection, info={})
            self.connection = SimpleNamespace(invalidated=False, connection=proxy)
        self.is_disconnect = False
        self.invalidate_pool_on_disconnect = True


@pytest.fixture
def liveness() -> Liveness:
    return Liveness(create_engine("sqlite://"), PoolSettings())


LOST = pymysql.err.OperationalError(2013, "Lost connection")


def test_a_ping_is_bounded_and_the_timeout_of_statements_holds_afterwards(liveness: Liveness) -> None:
    connection = Connection()
    assert liveness.ping(connection)
    assert connection.timeouts == [(0.5, PoolSettings().read_timeout)]
    assert not liveness.restart_detector.connection_lost
    assert not liveness.ping(Connection(is_alive=False))
    assert liveness.restart_detector.connection_lost


def test_a_restart_renews_all_connections_and_is_an_event(
    liveness: Liveness, clock: SettableClock, recorded_events: list[dict[str, str]]
) -> None:
    clock.advance(3600.0)
    liveness.detect_restart(Connection(number=100), 1.0)
    liveness.restart_detector.connection_lost = True
    liveness.detect_restart(Connection(number=1), clock() + 1)
    assert [event["kind"] for event in recorded_events] == ["restart"]
    assert liveness._engine.pool._invalidate_time > 0


@pytest.mark.parametrize(
    ("number", "is_read_only", "is_disconnect", "all_renewed"),
    [
        (1053, False, True, False),
        (1290, True, True, True),
        (1290, False, False, False),
        (1792, False, False, False),
        (1836, True, True, True),
        (1062, True, False, False),
    ],
)
def test_an_error_says_something_about_its_connection_and_seldom_about_all(
    liveness: Liveness, number: int, is_read_only: bool, is_disconnect: bool, all_renewed: bool
) -> None:
    connection = Connection()
    connection.is_read_only = is_read_only
    context: Any = Context(pymysql.err.OperationalError(number, "text"), connection)
    liveness.classify_error(context)
    assert (context.is_disconnect, context.invalidate_pool_on_disconnect) == (is_disconnect, all_renewed)
    asked = number in {1290, 1792, 1836}
    assert connection.timeouts == ([(0.5, PoolSettings().read_timeout)] if asked else [])
    event_log.drain()


def test_a_write_that_was_refused_just_before_the_server_took_writes_again_is_no_fault_of_the_write(
    liveness: Liveness, clock: SettableClock
) -> None:
    connection = Connection()

    def is_disconnect() -> bool:
        context: Any = Context(pymysql.err.OperationalError(1290, "text"), connection)
        liveness.classify_error(context)
        return bool(context.is_disconnect)

    connection.is_read_only = True
    assert is_disconnect()
    connection.is_read_only = False
    assert is_disconnect(), "it may have been read-only when it refused"
    clock.advance(6.0)
    assert not is_disconnect(), "another option of the server refuses it"
    event_log.drain()


def test_the_words_of_an_error_are_no_disconnect_although_sqlalchemy_takes_them_for_one(liveness: Liveness) -> None:
    context: Any = Context(pymysql.err.IntegrityError(1062, "Duplicate entry 'already closed'"), Connection())
    context.is_disconnect = True
    liveness.classify_error(context)
    assert not context.is_disconnect


def test_what_the_driver_has_closed_is_a_disconnect_whatever_the_error(liveness: Liveness) -> None:
    connection = Connection()
    connection.close()
    context: Any = Context(pymysql.err.OperationalError(2003, "Can't connect"), connection)
    liveness.classify_error(context)
    assert context.is_disconnect


def test_an_interrupt_in_the_middle_of_a_statement_leaves_its_connection_unusable(liveness: Liveness) -> None:
    context: Any = Context(KeyboardInterrupt(), Connection())
    context.is_disconnect = True
    liveness.classify_error(context)
    assert context.is_disconnect


def test_a_read_whose_connection_breaks_is_executed_once_more_on_a_new_one(
    liveness: Liveness, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor, told = Cursor(LOST), list[object]()
    cursor.connection.isolation_level = "SERIALIZABLE"
    monkeypatch.setattr(liveness._engine.pool.dispatch, "connect", lambda *arguments: told.extend(arguments))
    liveness.execute_with_retry(cursor, "SELECT 1", ())
    assert (cursor.executed, cursor.connection.reconnects) == (2, 1)
    assert told == [cursor.connection, cursor.connection.entry], "listeners hear of it as of any connect"
    assert cursor.connection.isolation_level == "SERIALIZABLE"


def test_where_the_reconnect_fails_the_connection_is_closed(
    liveness: Liveness, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor = Cursor(LOST)

    def fail(dbapi_connection: object, entry: object) -> None:
        raise LookupError

    monkeypatch.setattr(liveness._engine.pool.dispatch, "connect", fail)
    with pytest.raises(LookupError):
        liveness.execute_with_retry(cursor, "SELECT 1", ())
    assert not cursor.connection.open


@pytest.mark.parametrize("why", ["another error", "an operator", "the deadline", "a detached connection"])
def test_a_read_is_not_executed_again_where_that_would_not_help(liveness: Liveness, why: str) -> None:
    cursor = Cursor(pymysql.err.ProgrammingError(1064, "syntax") if why == "another error" else LOST)
    cursor.connection.killed_by_operator = why == "an operator"
    if why == "a detached connection":
        cursor.connection.pool_entry = lambda: None
    context = contextvars.copy_context()
    if why == "the deadline":
        context.run(deadlines.set_deadline, 0.0)
    with pytest.raises(pymysql.err.Error):
        context.run(liveness.execute_with_retry, cursor, "SELECT 1", ())
    assert (cursor.executed, cursor.connection.reconnects) == (1, 0)
