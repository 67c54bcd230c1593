"""The driver's error is found in SQLAlchemy's."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from poolproof.drivers.transient_cause import UNAVAILABLE_CAUSES, TransientCause, original_error


def test_the_drivers_error_is_what_sqlalchemy_has_wrapped() -> None:
    original = ValueError("any text")
    assert original_error(DBAPIError("SELECT 1", {}, original)) is original
    assert original_error(original) is original


def test_a_server_that_is_full_busy_or_out_of_space_is_there() -> None:
    causes = {TransientCause.CONTENTION, TransientCause.TOO_MANY_CONNECTIONS, TransientCause.STORAGE}
    assert UNAVAILABLE_CAUSES.isdisjoint(causes)
