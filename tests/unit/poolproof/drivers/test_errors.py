"""One question for every driver's errors: each is judged by what its own server means."""

from __future__ import annotations

import sqlite3

import psycopg
import pymysql
import pytest
from psycopg import errors as psycopg_errors

from poolproof.drivers import errors
from poolproof.drivers.errors import TransientCause


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (pymysql.err.OperationalError(1213, "any text"), TransientCause.CONTENTION),
        (psycopg_errors.DeadlockDetected("any text"), TransientCause.CONTENTION),
        (pymysql.err.OperationalError(2013, "any text"), TransientCause.CONNECTION_LOST),
        (psycopg_errors.AdminShutdown("any text"), TransientCause.CONNECTION_LOST),
        (pymysql.err.OperationalError(1040, "any text"), TransientCause.TOO_MANY_CONNECTIONS),
        (psycopg_errors.TooManyConnections("any text"), TransientCause.TOO_MANY_CONNECTIONS),
        (pymysql.err.OperationalError(2003, "any text"), TransientCause.UNAVAILABLE),
        (psycopg_errors.CannotConnectNow("any text"), TransientCause.UNAVAILABLE),
        (pymysql.err.IntegrityError(1062, "any text"), None),
        (psycopg_errors.UniqueViolation("any text"), None),
        (sqlite3.IntegrityError("any text"), None),
        (ValueError("any text"), None),
    ],
)
def test_the_same_fault_has_the_same_cause_on_every_server(error: Exception, cause: TransientCause | None) -> None:
    assert errors.transient_cause(error) is cause
    assert errors.is_transient(error) is (cause is not None)
    assert errors.is_contention(error) is (cause is TransientCause.CONTENTION)
    assert errors.is_too_many_connections(error) is (cause is TransientCause.TOO_MANY_CONNECTIONS)


def test_only_mysql_says_by_a_number_that_there_is_no_such_connection() -> None:
    assert errors.is_no_such_connection(pymysql.err.InternalError(1094, "any text"))
    assert not errors.is_no_such_connection(psycopg.OperationalError("any text"))


def test_a_sqlstate_that_a_mysql_error_may_carry_does_not_make_it_postgresqls() -> None:
    error = pymysql.err.OperationalError(1213, "any text")
    error.sqlstate = "40001"
    assert errors.is_contention(error)
    error = pymysql.err.OperationalError(1064, "any text")
    error.sqlstate = "57P01"
    assert not errors.is_connection_lost(error)
