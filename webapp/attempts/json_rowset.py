"""The rows of a batch as one parameter: a JSON array that the database reads as a table.

The statement's text is the same for one row and for five hundred, so it is compiled once.
MySQL and MariaDB: JSON_TABLE. SQLite: json_each, and `unhex`, which `pooling.sqlite` adds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, LargeBinary, String, Subquery, TextClause, bindparam, text
from sqlalchemy.types import TypeEngine

PARAMETER = "rows"


@dataclass(frozen=True)
class RowsetColumn:
    """A column of a row set: its type on MySQL, in Core, and whether it holds hexadecimal digits of bytes."""

    name: str
    mysql_type: str
    core_type: TypeEngine[Any]
    is_hexadecimal: bool = False


def uuid_column(name: str) -> RowsetColumn:
    """Return a column of UUIDs, given as 32 hexadecimal digits."""
    return RowsetColumn(name, "CHAR(32)", LargeBinary(16), is_hexadecimal=True)


def number_column(name: str) -> RowsetColumn:
    """Return a column of whole numbers."""
    return RowsetColumn(name, "BIGINT", BigInteger())


def text_column(name: str, length: int) -> RowsetColumn:
    """Return a column of text."""
    return RowsetColumn(name, f"VARCHAR({length})", String(length))


def rowset(dialect: str, name: str, columns: Sequence[RowsetColumn]) -> Subquery:
    """Return the parameter `rows` as a table of these columns."""
    statement = _select_text(dialect, columns).bindparams(bindparam(PARAMETER, type_=String()))
    return statement.columns(**{column.name: column.core_type for column in columns}).subquery(name)


def encode_rows(rows: Iterable[Sequence[Any]]) -> dict[str, str]:
    """Return the parameter's value: each row's cells in the order of the columns."""
    return {PARAMETER: json.dumps(list(rows), separators=(",", ":"))}


def _select_text(dialect: str, columns: Sequence[RowsetColumn]) -> TextClause:
    if dialect == "sqlite":
        cells = {column.name: f"json_extract(value, '$[{place}]')" for place, column in enumerate(columns)}
        source = "json_each(:rows)"
    else:
        cells = {column.name: f"given_row.{column.name}" for column in columns}
        paths = ", ".join(f"{one.name} {one.mysql_type} PATH '$[{place}]'" for place, one in enumerate(columns))
        source = f"JSON_TABLE(:rows, '$[*]' COLUMNS ({paths})) AS given_row"
    shown = ", ".join(
        f"UNHEX({cells[one.name]}) AS {one.name}" if one.is_hexadecimal else f"{cells[one.name]} AS {one.name}"
        for one in columns
    )
    # Names and types are this module's and its callers' own; the rows are a parameter.
    return text(f"SELECT {shown} FROM {source}")  # noqa: S608
