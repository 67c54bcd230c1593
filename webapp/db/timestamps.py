"""The database's clock in UTC: every comparison of times uses the server's clock, no worker's own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from webapp.db.types import UtcDateTime


class utc_now(FunctionElement[datetime]):  # noqa: N801 - an SQL function is written in lower case
    """The database's present time in UTC, with microseconds."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(utc_now)
def _utc_now_on_mysql(element: utc_now, compiler: Any, **kw: Any) -> str:
    return "UTC_TIMESTAMP(6)"


@compiles(utc_now, "sqlite")
def _utc_now_on_sqlite(element: utc_now, compiler: Any, **kw: Any) -> str:
    # SQLite has milliseconds; three zeros make the text comparable with stored microseconds.
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"


def database_now(connection: Connection) -> datetime:
    """Read the database's present time."""
    now: datetime = connection.execute(select(utc_now())).scalar_one()
    return now


class seconds_ago(FunctionElement[datetime]):  # noqa: N801 - an SQL function is written in lower case
    """The database's time so many seconds ago; its argument is a parameter of the statement."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(seconds_ago)
def _seconds_ago_on_mysql(element: seconds_ago, compiler: Any, **kw: Any) -> str:
    return f"UTC_TIMESTAMP(6) - INTERVAL ({compiler.process(element.clauses, **kw)}) SECOND"


@compiles(seconds_ago, "sqlite")
def _seconds_ago_on_sqlite(element: seconds_ago, compiler: Any, **kw: Any) -> str:
    seconds = compiler.process(element.clauses, **kw)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', '-' || ({seconds}) || ' seconds')"


class seconds_after(FunctionElement[datetime]):  # noqa: N801 - an SQL function is written in lower case
    """The time so many seconds after a stored one; NULL where the number of seconds is."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(seconds_after)
def _seconds_after_on_mysql(element: seconds_after, compiler: Any, **kw: Any) -> str:
    moment, seconds = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({moment} + INTERVAL {seconds} SECOND)"


@compiles(seconds_after, "sqlite")
def _seconds_after_on_sqlite(element: seconds_after, compiler: Any, **kw: Any) -> str:
    moment, seconds = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"strftime('%Y-%m-%d %H:%M:%f000', {moment}, '+' || {seconds} || ' seconds')"


class milliseconds_between(FunctionElement[int]):  # noqa: N801 - an SQL function is written in lower case
    """The whole milliseconds from the first stored time to the second one."""

    type = BigInteger()
    inherit_cache = True


@compiles(milliseconds_between)
def _milliseconds_between_on_mysql(element: milliseconds_between, compiler: Any, **kw: Any) -> str:
    return f"(TIMESTAMPDIFF(MICROSECOND, {compiler.process(element.clauses, **kw)}) DIV 1000)"


@compiles(milliseconds_between, "sqlite")
def _milliseconds_between_on_sqlite(element: milliseconds_between, compiler: Any, **kw: Any) -> str:
    # Whole numbers: julianday() has not enough digits. A stored time is a text with six digits of its second.
    first, second = (compiler.process(clause, **kw) for clause in element.clauses)
    micros = "(CAST(strftime('%s', {0}) AS INTEGER) * 1000000 + CAST(substr({0}, 21, 6) AS INTEGER))"
    return f"(({micros.format(second)} - {micros.format(first)}) / 1000)"
