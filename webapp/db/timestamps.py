"""The database's clock in UTC: every comparison of times uses the server's clock, no worker's own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select
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
    return f"UTC_TIMESTAMP(6) - INTERVAL {compiler.process(element.clauses, **kw)} SECOND"


@compiles(seconds_ago, "sqlite")
def _seconds_ago_on_sqlite(element: seconds_ago, compiler: Any, **kw: Any) -> str:
    seconds = compiler.process(element.clauses, **kw)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', '-' || {seconds} || ' seconds')"
