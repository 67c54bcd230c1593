"""Insert many items by LOAD DATA LOCAL, where the server allows it: the server has no statement to parse.

LOAD DATA LOCAL turns errors into warnings. So a stream that causes a warning is rolled back as a whole, and its rows
are inserted by INSERT, which raises the error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from sqlalchemy import Connection, Dialect

from webapp.bank.models import Item
from webapp.db import load_data
from webapp.db.timestamps import utc_now

FIELD_SEPARATOR, LINE_SEPARATOR, NULL_MARKER = "\x1f", "\x1e", "\x02"
"""Control characters that no item's text contains."""
LIST_ENCODERS: dict[str, Callable[[Any], str]] = {
    "choices": lambda texts: f"[{', '.join(map(quoted, texts))}]",
    "right": str,
}
"""Lists of texts and of numbers are written as `json.dumps` writes them, in a third of its time."""


def load(connection: Connection, rows: Sequence[dict[str, Any]]) -> bool:
    """Insert rows of different dedupe keys; return False, and insert none, unless the server accepts all unchanged."""
    if not load_data.supports_local_infile(connection):
        return False
    columns = encode_columns(connection.dialect, rows)
    content = _encode_rows(columns, len(rows))
    if content is None:
        return False
    connection.exec_driver_sql("SAVEPOINT loading")
    if load_data.load_data(connection, _build_statement(connection.dialect, columns), content) == (len(rows), 0):
        return True
    connection.exec_driver_sql("ROLLBACK TO SAVEPOINT loading")
    return False


def encode_columns(dialect: Dialect, rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return the rows column by column in the driver's types; a column that is NULL in all rows is left out."""
    columns: dict[str, list[Any]] = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if any(value is not None for value in values):
            process = LIST_ENCODERS.get(name) or Item.__table__.c[name].type.dialect_impl(dialect).bind_processor(
                dialect
            )
            columns[name] = [process(value) for value in values] if process else values
    return columns


def _build_statement(dialect: Dialect, columns: dict[str, list[Any]]) -> str:
    quote = dialect.identifier_preparer.quote
    binary = {name for name, values in columns.items() if isinstance(_first_value(values), bytes)}
    names = ", ".join(f"@{name}" if name in binary else quote(name) for name in columns)
    now = str(utc_now().compile(dialect=dialect))
    unpacked = ", ".join(f"{quote(name)} = UNHEX(@{name})" for name in binary)
    return (
        "LOAD DATA LOCAL INFILE 'items' INTO TABLE item CHARACTER SET utf8mb4"
        r" FIELDS TERMINATED BY X'1F' ESCAPED BY '\\' LINES TERMINATED BY X'1E'"
        f" ({names}) SET version = 1, created_at = {now}, changed_at = {now}, {unpacked}"
    )


def _encode_rows(columns: dict[str, list[Any]], count: int) -> bytes | None:
    """Return the rows as a stream; None when one of their texts contains a separator."""
    texts = [_to_texts(values) for values in columns.values()]
    content = LINE_SEPARATOR.join(map(FIELD_SEPARATOR.join, zip(*texts, strict=True))) + LINE_SEPARATOR
    null_count = sum(values.count(None) for values in columns.values())
    separators = (content.count(FIELD_SEPARATOR), content.count(LINE_SEPARATOR), content.count(NULL_MARKER))
    if separators != ((len(columns) - 1) * count, count, null_count):
        return None
    return content.replace("\\", "\\\\").replace(NULL_MARKER, "\\N").encode()


def _to_texts(values: Sequence[Any]) -> Iterable[str]:
    first = _first_value(values)
    if isinstance(first, str):
        return [NULL_MARKER if value is None else value for value in values] if None in values else values
    to_text: Callable[[Any], str] = str
    if isinstance(first, bytes):
        to_text = bytes.hex
    elif isinstance(first, datetime):
        to_text = datetime.isoformat
    return [NULL_MARKER if value is None else to_text(value) for value in values]


def _first_value(values: Sequence[Any]) -> Any:
    """Return the first of a column's values that is not NULL."""
    return next(value for value in values if value is not None)
