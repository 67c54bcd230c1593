"""What an error means: for its connection, and for whether the same may be tried again."""

from __future__ import annotations

import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pymysql
import pytest
from sqlalchemy.exc import DBAPIError

from poolproof.drivers import errors
from poolproof.drivers.errors import TransientCause


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
        (1021, TransientCause.STORAGE),
        (1114, TransientCause.STORAGE),
        (3675, TransientCause.STORAGE),
        (1290, None),
        (1836, None),
        (1062, None),
        (1146, None),
    ],
)
def test_a_number_has_one_cause(number: int, cause: TransientCause | None) -> None:
    error = wrapped(number, "text")
    assert errors.transient_cause(error) is cause
    assert errors.is_transient(error) is (cause is not None)


def test_a_locked_sqlite_is_contention(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as one, closing(sqlite3.connect(tmp_path / "a.sqlite")) as two:
        one.execute("BEGIN IMMEDIATE")
        two.execute("PRAGMA busy_timeout = 0")
        with pytest.raises(sqlite3.OperationalError) as refusal:
            two.execute("BEGIN IMMEDIATE")
    assert errors.transient_cause(refusal.value) is TransientCause.CONTENTION
    assert errors.transient_cause(DBAPIError("BEGIN", {}, refusal.value)) is TransientCause.CONTENTION


def test_a_full_sqlite_is_storage(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as connection:
        connection.execute("CREATE TABLE note (content BLOB)")
        connection.execute("PRAGMA max_page_count = 2")
        with pytest.raises(sqlite3.OperationalError) as refusal:
            connection.execute("INSERT INTO note VALUES (zeroblob(100000))")
    assert errors.transient_cause(refusal.value) is TransientCause.STORAGE
    with pytest.raises(sqlite3.OperationalError) as refusal:
        sqlite3.connect(tmp_path / "no such folder" / "a.sqlite")
    assert errors.transient_cause(DBAPIError("SELECT 1", {}, refusal.value)) is TransientCause.STORAGE


@pytest.mark.parametrize("words", ["database is locked", "Packet sequence number wrong", "Already closed"])
def test_the_words_of_an_error_or_of_a_statement_mean_nothing(words: str) -> None:
    error = DBAPIError("INSERT", {"word": words}, pymysql.err.IntegrityError(1062, f"Duplicate entry '{words}'"))
    assert errors.transient_cause(error) is None
    assert not errors.is_disconnect(error)
    assert errors.transient_cause(Exception(words)) is None


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


@pytest.mark.parametrize(("number", "expected"), [(1053, True), (2014, True), (1836, False), (1213, False)])
def test_a_server_that_shuts_down_or_is_not_understood_is_a_disconnect(number: int, expected: bool) -> None:
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
    connection: Any = pymysql.Connection(defer_connect=True)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection._sock, connection._rfile, connection._next_seq_id = ours, ours.makefile("rb"), 2
        connection._current_timeout = connection._read_timeout
        # Five bytes, of which the fourth is the number of the packet; number 0 would be a server that shuts down.
        theirs.sendall(b"\x01\x00\x00\x05\x00")
        with pytest.raises(pymysql.err.InternalError) as confusion:
            connection._read_packet()
    assert errors.error_number(confusion.value) is None
    assert errors.is_disconnect(confusion.value)
    assert errors.is_connection_lost(confusion.value)
    assert not connection.open
    assert not errors.is_disconnect(pymysql.err.InternalError(1815, "the server's own internal error has a number"))


def test_the_number_is_read_through_sqlalchemys_error_and_may_be_missing() -> None:
    assert errors.error_number(wrapped(1213, "text")) == 1213
    assert errors.error_number(ValueError("no number")) is None
    assert errors.error_number(ValueError()) is None


def test_only_some_errors_may_mean_that_a_server_takes_no_writes() -> None:
    assert errors.may_be_read_only(wrapped(1290, "text"))
    assert not errors.may_be_read_only(wrapped(1213, "text"))


def test_a_server_that_was_found_to_take_no_writes_is_unavailable() -> None:
    assert errors.transient_cause(wrapped(1290, "text", invalidated=True)) is TransientCause.UNAVAILABLE
