"""A schema of MySQL or MariaDB as statements and rows, taken once and restored wherever one like it is needed."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Any

from webapp.lab.services.database_server import DatabaseServer

INSERTABLE = """
    SELECT column_name FROM information_schema.columns
    WHERE table_schema = %s AND table_name = %s AND COALESCE(generation_expression, '') = '' ORDER BY ordinal_position
"""


@dataclass(frozen=True)
class Table:
    name: str
    statement: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Snapshot:
    """The tables of a schema, with their rows, and its triggers."""

    tables: tuple[Table, ...]
    triggers: tuple[str, ...]


def take(server: DatabaseServer, schema: str) -> Snapshot:
    with closing(server.connect(schema)) as connection, connection.cursor() as cursor:

        def rows(statement: str, *arguments: object) -> tuple[tuple[Any, ...], ...]:
            cursor.execute(statement, arguments or None)
            return tuple(cursor.fetchall())

        tables = []
        for (name,) in rows("SELECT table_name FROM information_schema.tables WHERE table_schema = %s", schema):
            columns = tuple(column for (column,) in rows(INSERTABLE, schema, name))
            chosen = ", ".join(f"`{column}`" for column in columns)
            statement = rows(f"SHOW CREATE TABLE `{name}`")[0][1]
            tables.append(Table(name, statement, columns, rows(f"SELECT {chosen} FROM `{name}`")))
        triggers = tuple(rows(f"SHOW CREATE TRIGGER `{trigger}`")[0][2] for trigger, *_ in rows("SHOW TRIGGERS"))
    return Snapshot(tuple(tables), triggers)


def restore(server: DatabaseServer, schema: str, snapshot: Snapshot) -> None:
    """Make this schema anew, equal to the one that the snapshot was taken of."""
    server.execute(f"DROP DATABASE IF EXISTS `{schema}`")
    server.create_database(schema)
    with closing(server.connect(schema)) as connection, connection.cursor() as cursor:
        # Tables come in no order, and refer to each other.
        cursor.execute("SET foreign_key_checks = 0")
        for table in snapshot.tables:
            cursor.execute(table.statement)
            if table.rows:
                columns = ", ".join(f"`{column}`" for column in table.columns)
                places = ", ".join(["%s"] * len(table.columns))
                cursor.executemany(f"INSERT INTO `{table.name}` ({columns}) VALUES ({places})", table.rows)
        for trigger in snapshot.triggers:
            cursor.execute(trigger)
