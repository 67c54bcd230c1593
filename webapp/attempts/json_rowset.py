"""The rows of a batch as one parameter: a JSON array that the database reads as a table.

The statement's text is the same for one row and for five hundred, so it is compiled once.
MySQL and MariaDB: JSON_TABLE. SQLite: json_each, and `unhex`, which `poolproof.drivers.sqlite` adds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, LargeBinary, Select, String, Subquery, Table, TextClause, bindparam, text
from sqlalchemy.types import TypeEngine

from webapp.db.types import UtcDateTime

PARAMETER = "rows"


@dataclass(frozen=True)
class RowsetColumn:
    """A column of a row set: its type in MySQL and in Core, and whether its text is bytes in hexadecimal."""

    name: str
    mysql_type: str
    core_type: TypeEngine[Any]
    is_hexadecimal: bool = False


def uuid_column(name: str) -> RowsetColumn:
    """Return a column of UUIDs, encoded as 32 hexadecimal digits."""
    return RowsetColumn(name, "CHAR(32)", LargeBinary(16), is_hexadecimal=True)


def number_column(name: str) -> RowsetColumn:
    """Return a column of whole numbers."""
    return RowsetColumn(name, "BIGINT", BigInteger())


def text_column(name: str, length: int) -> RowsetColumn:
    """Return a column of text.

    Its character set is named: MariaDB would take the schema's, and turn what that cannot hold into question marks.
    """
    return RowsetColumn(name, f"VARCHAR({length}) CHARACTER SET utf8mb4", String(length))


def datetime_column(name: str) -> RowsetColumn:
    """Return a column of times in UTC, encoded by `encode_datetime`."""
    return RowsetColumn(name, "DATETIME(6)", UtcDateTime())


def encode_datetime(moment: datetime) -> str:
    """Return an aware time as the text that the database reads as a time, and that SQLite stores."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def rowset(dialect: str, name: str, columns: Sequence[RowsetColumn]) -> Subquery:
    """Return the parameter `rows` as a table of these columns."""
    statement = _select_text(dialect, columns).bindparams(bindparam(PARAMETER, type_=String()))
    return statement.columns(**{column.name: column.core_type for column in columns}).subquery(name)


def rows_first(query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    """Let the few rows of a set look up their tables, whatever the optimizer assumes about a new table."""
    for dialect in ("mysql", "mariadb"):
        query = query.prefix_with("STRAIGHT_JOIN", dialect=dialect)
    return query


def lookup_by_key(query: Select[*tuple[Any, ...]], table: Table) -> Select[*tuple[Any, ...]]:
    """Have a table that is joined to a set of rows looked up by its primary key, row by row.

    MySQL would read all of a table that it takes for small, as a new one at the beginning of a push, and join it by
    a hash: it would lock rows that are not asked for, and return those of the set in any order.
    """
    for dialect in ("mysql", "mariadb"):
        query = query.with_hint(table, "FORCE INDEX (PRIMARY)", dialect)
    return query


def encode_rows(rows: Iterable[Sequence[Any]]) -> dict[str, str]:
    """Return the parameters of the statement; each row has its values in the order of the columns."""
    return {PARAMETER: json.dumps(list(rows), separators=(",", ":"))}


def _select_text(dialect: str, columns: Sequence[RowsetColumn]) -> TextClause:
    if dialect == "sqlite":
        values = {column.name: f"json_extract(value, '$[{index}]')" for index, column in enumerate(columns)}
        source = "json_each(:rows)"
    else:
        values = {column.name: f"json_row.{column.name}" for column in columns}
        paths = ", ".join(
            f"{column.name} {column.mysql_type} PATH '$[{index}]'" for index, column in enumerate(columns)
        )
        source = f"JSON_TABLE(:rows, '$[*]' COLUMNS ({paths})) AS json_row"
    selected = ", ".join(
        f"UNHEX({values[column.name]}) AS {column.name}"
        if column.is_hexadecimal
        else f"{values[column.name]} AS {column.name}"
        for column in columns
    )
    # Names and types are constants of this module and its callers; the rows are a parameter.
    return text(f"SELECT {selected} FROM {source}")  # noqa: S608
