"""Which of the drivers' parts serves an engine."""

from __future__ import annotations

from enum import StrEnum


class DatabaseKind(StrEnum):
    """A kind of database, with a driver that has a part of its own here."""

    SQLITE = "sqlite"
    MYSQL = "mysql"
    """MariaDB as well."""
    POSTGRESQL = "postgresql"
    OTHER = "other"
    """Any other one: the plain fallback."""


_KINDS = {
    ("sqlite", "pysqlite"): DatabaseKind.SQLITE,
    ("mysql", "pymysql"): DatabaseKind.MYSQL,
    ("mariadb", "pymysql"): DatabaseKind.MYSQL,
    ("postgresql", "psycopg"): DatabaseKind.POSTGRESQL,
    ("postgresql", "psycopg2"): DatabaseKind.POSTGRESQL,
}


def get_database_kind(backend: str, driver: str) -> DatabaseKind:
    """Return the kind of a database, by SQLAlchemy's names of its dialect and of its driver."""
    return _KINDS.get((backend, driver), DatabaseKind.OTHER)
