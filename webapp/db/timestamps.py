"""The database's clock: time is UTC, and the server decides what time it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, DateTime, Dialect, select
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine


class UtcDateTime(TypeDecorator[datetime]):
    """Microseconds in UTC; Python sees aware datetimes, the column holds plain ones."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """MySQL keeps whole seconds unless told otherwise."""
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive datetime: nobody can tell what it means."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; give an aware datetime")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the time zone back."""
        return None if value is None else value.replace(tzinfo=UTC)


class utc_now(FunctionElement[datetime]):  # noqa: N801 - an SQL function is written in lower case
    """The database's present time in UTC, with microseconds."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(utc_now)
def _utc_now_on_mysql(element: utc_now, compiler: Any, **kw: Any) -> str:
    return "UTC_TIMESTAMP(6)"


@compiles(utc_now, "sqlite")
def _utc_now_on_sqlite(element: utc_now, compiler: Any, **kw: Any) -> str:
    # SQLite counts milliseconds; three zeros make it comparable with stored text.
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"


def database_now(connection: Connection) -> datetime:
    """Ask the database what time it is."""
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
