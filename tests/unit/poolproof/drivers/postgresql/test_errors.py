"""What an error of psycopg or psycopg2 means: for its connection, and for whether the same may be tried again."""

from __future__ import annotations

import psycopg
import psycopg2
import pytest
from psycopg import errors as psycopg_errors
from psycopg2 import errors as psycopg2_errors
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError

from poolproof.drivers import errors
from poolproof.drivers.errors import TransientCause
from poolproof.drivers.postgresql.errors import mark_connect_error, sqlstate
from tests.support.postgresql import engine_on
from webapp.lab.services.postgresql_server import PostgresqlServer

LOST, BUSY = TransientCause.CONNECTION_LOST, TransientCause.CONTENTION


def of_psycopg(state: str) -> DBAPIError:
    """Return an error with this SQLSTATE as SQLAlchemy raises it around the driver's."""
    return DBAPIError("SELECT 1", {}, psycopg_errors.lookup(state)("any text"))


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        ("08000", LOST),
        ("08006", LOST),
        ("57P01", LOST),
        ("57P02", LOST),
        ("57P05", LOST),
        ("25P03", LOST),
        ("57P03", TransientCause.UNAVAILABLE),
        ("08001", TransientCause.UNAVAILABLE),
        ("08004", TransientCause.UNAVAILABLE),
        ("53300", TransientCause.TOO_MANY_CONNECTIONS),
        ("40001", BUSY),
        ("40P01", BUSY),
        ("55P03", BUSY),
        ("53100", TransientCause.STORAGE),
        ("57014", None),
        ("25006", None),
        ("23505", None),
        ("42P01", None),
    ],
)
def test_a_sqlstate_has_one_cause(state: str, cause: TransientCause | None) -> None:
    error = of_psycopg(state)
    assert sqlstate(error) == state
    assert errors.transient_cause(error) is cause
    assert errors.is_transient(error) is (cause is not None)
    assert errors.is_disconnect(error) is (cause is LOST)
    assert errors.is_reply(error) is (cause is not LOST)


def test_an_error_without_a_sqlstate_is_a_broken_connection_or_one_that_could_not_be_made() -> None:
    for kind in (psycopg.OperationalError, psycopg2.OperationalError, psycopg2.DatabaseError):
        broken = DBAPIError("SELECT 1", {}, kind("any text"))
        assert errors.transient_cause(broken) is LOST
        assert errors.is_disconnect(broken)
        assert not errors.is_reply(broken)
        refused = kind("any text")
        mark_connect_error(refused)
        assert errors.transient_cause(DBAPIError(None, None, refused)) is TransientCause.UNAVAILABLE


def test_what_a_driver_refuses_by_itself_is_no_loss_and_has_no_effect() -> None:
    for kind in (psycopg.ProgrammingError, psycopg.InterfaceError, psycopg2.ProgrammingError, psycopg2.InterfaceError):
        error = DBAPIError("SELECT 1", {}, kind("any text"))
        assert errors.transient_cause(error) is None
        assert errors.is_reply(error)


def test_a_reply_that_is_overdue_is_unavailable_and_nothing_to_repeat() -> None:
    original = psycopg.OperationalError("any text")
    original.__context__ = TimeoutError()
    error = DBAPIError("SELECT 1", {}, original)
    assert not errors.is_connection_lost(error)
    assert errors.transient_cause(error) is TransientCause.UNAVAILABLE


def test_only_one_sqlstate_may_mean_that_a_server_takes_no_writes() -> None:
    assert errors.may_be_read_only(of_psycopg("25006"))
    assert not errors.may_be_read_only(of_psycopg("42501"))
    assert errors.is_lock_wait_timeout(of_psycopg("55P03"))
    assert not errors.is_lock_wait_timeout(of_psycopg("40P01"))


def test_both_drivers_give_what_the_server_says(postgresql_url: URL) -> None:
    with engine_on(postgresql_url) as engine, pytest.raises(DBAPIError) as refusal, engine.connect() as connection:
        connection.execute(text("SELECT 1 / 0"))
    assert sqlstate(refusal.value) == "22012"
    assert isinstance(refusal.value.orig, psycopg_errors.DivisionByZero | psycopg2_errors.DivisionByZero)
    assert errors.is_reply(refusal.value)


def test_a_connect_that_is_refused_means_an_unavailable_server_and_is_not_repeated(
    postgresql: PostgresqlServer, postgresql_url: URL
) -> None:
    for url in (postgresql_url.set(port=1), postgresql_url.set(username="unknown")):
        with engine_on(url) as engine, pytest.raises(DBAPIError) as refusal:
            engine.connect()
        assert errors.transient_cause(refusal.value) is TransientCause.UNAVAILABLE
        assert not errors.is_connection_lost(refusal.value)
