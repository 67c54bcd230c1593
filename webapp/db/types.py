"""Column types and table options that mean the same on every database."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, LargeBinary
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine

MYSQL_TABLE_OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}
"""Table options: text is compared byte by byte, as SQLite does, so that all databases agree."""

NEVER = datetime(9999, 1, 1, tzinfo=UTC)
"""How a column of `OptionalEnd` stores that there is no end; not the last moment, so that sums with it are times."""

BigId = BigInteger().with_variant(Integer, "sqlite")
"""An id that the database counts; SQLite counts only in a column declared INTEGER."""

Sha256 = LargeBinary(32).with_variant(mysql.BINARY(32), "mysql", "mariadb")
"""A digest; MySQL indexes the whole of a BINARY column, but only a prefix of a BLOB."""


class UtcDateTime(TypeDecorator[datetime]):
    """Microseconds in UTC; Python sees aware datetimes, the column holds naive ones."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return DATETIME(6) for MySQL, which keeps whole seconds by default."""
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC; a naive datetime is refused, since its zone is unknown."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone; give an aware datetime")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the time zone back."""
        return None if value is None else value.replace(tzinfo=UTC)


class OptionalEnd(UtcDateTime):
    """A moment that may never come: None in Python, the year 9999 in the column.

    So that a condition such as `closes_at > now` holds for what has no end, too, and an index finds both.
    """

    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """None becomes the end of time."""
        return super().process_bind_param(NEVER if value is None else value, dialect)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The end of time becomes None."""
        moment = super().process_result_value(value, dialect)
        return None if moment is None or moment >= NEVER else moment


class UuidBytes(TypeDecorator[uuid.UUID]):
    """A UUID in 16 bytes, so that UUIDv7 keys are small and sort by time."""

    impl = LargeBinary(16)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[bytes]:
        """Return BINARY for MySQL, which indexes the whole of it, but only a prefix of a BLOB."""
        return dialect.type_descriptor(LargeBinary(16) if dialect.name == "sqlite" else mysql.BINARY(16))

    def process_bind_param(self, value: uuid.UUID | None, dialect: Dialect) -> bytes | None:
        """UUID to bytes."""
        return None if value is None else value.bytes

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> uuid.UUID | None:
        """Bytes to UUID."""
        return None if value is None else uuid.UUID(bytes=bytes(value))
