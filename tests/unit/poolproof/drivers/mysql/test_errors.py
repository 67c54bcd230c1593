"""What an error means: for its connection, and for whether the same may be tried again."""

from __future__ import annotations

from typing import Any

import pymysql
import pytest
from sqlalchemy.exc import DBAPIError

from poolproof.drivers.mysql import errors
from poolproof.drivers.mysql.errors import TransientCause


def wrapped(
    *arguments: Any, kind: type[Exception] = pymysql.err.OperationalError, invalidated: bool = False
) -> DBAPIError:
    """Return an error as SQLAlchemy raises it around the driver's."""
    return DBAPIError("SELECT 1", {}, kind(*arguments), connection_invalidated=invalidated)


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        (1213, TransientCause.CONTENTION),
        (1205, TransientCause.CONTENTION),
        (1020, TransientCause.CONTENTION),
        (2006, TransientCause.CONNECTION_LOST),
        (2013, TransientCause.CONNECTION_LOST),
        (1053, TransientCause.CONNECTION_LOST),
        (1040, TransientCause.TOO_MANY_CONNECTIONS),
        (1203, TransientCause.TOO_MANY_CONNECTIONS),
        (1226, TransientCause.TOO_MANY_CONNECTIONS),
        (2003, TransientCause.UNAVAILABLE),
        (1290, TransientCause.UNAVAILABLE),
        (1062, None),
        (1146, None),
    ],
)
def test_a_number_has_one_cause(number: int, cause: TransientCause | None) -> None:
    error = wrapped(number, "text")
    assert errors.transient_cause(error) is cause
    assert errors.is_transient(error) is (cause is not None)


def test_a_locked_sqlite_is_contention() -> None:
    assert errors.transient_cause(Exception("database is locked")) is TransientCause.CONTENTION


def test_an_invalidated_connection_is_no_answer_of_the_server() -> None:
    assert errors.transient_cause(wrapped(9999, "unknown", invalidated=True)) is TransientCause.UNAVAILABLE


def test_a_connection_that_the_driver_has_closed_itself_is_lost() -> None:
    assert errors.is_connection_lost(wrapped(0, "", kind=pymysql.err.InterfaceError))


def test_a_reply_that_did_not_come_in_time_is_no_lost_connection() -> None:
    slow = wrapped(2013, "Lost connection to MySQL server during query (timed out)")
    assert slow.orig is not None
    slow.orig.__context__ = TimeoutError("timed out")
    assert not errors.is_connection_lost(slow)
    assert errors.transient_cause(slow) is TransientCause.UNAVAILABLE


@pytest.mark.parametrize(("number", "expected"), [(1053, True), (1836, True), (1213, False), (1062, False)])
def test_a_server_that_shuts_down_or_is_read_only_is_a_disconnect(number: int, expected: bool) -> None:
    assert errors.is_disconnect(pymysql.err.OperationalError(number, "text")) is expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [(1213, True), (1062, True), (3024, True), (4031, False), (0, True), (2013, False), (2006, False), (1053, False)],
)
def test_a_refusal_of_the_server_is_a_reply_and_a_lost_connection_is_none(number: int, expected: bool) -> None:
    assert errors.is_reply(pymysql.err.OperationalError(number, "text")) is expected


def test_an_error_without_a_number_is_no_reply() -> None:
    assert not errors.is_reply(pymysql.err.InternalError("Packet sequence number wrong"))
    assert not errors.is_reply(TimeoutError())


def test_a_protocol_out_of_step_is_a_disconnect_and_a_lost_connection() -> None:
    error = pymysql.err.InternalError("Packet sequence number wrong - got 1 expected 2")
    assert errors.is_disconnect(error)
    assert errors.is_connection_lost(error)


def test_the_number_is_read_through_sqlalchemys_error_and_may_be_missing() -> None:
    assert errors.error_number(wrapped(1213, "text")) == 1213
    assert errors.error_number(ValueError("no number")) is None
    assert errors.error_number(ValueError()) is None


def test_only_a_server_that_takes_no_writes_is_read_only() -> None:
    assert errors.is_read_only(wrapped(1290, "text"))
    assert not errors.is_read_only(wrapped(1213, "text"))
