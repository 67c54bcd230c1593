"""Insert and change many items with multi-row statements; items that the bank already has are left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Dialect, Row, bindparam, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from webapp.bank import item_history, load_data_insert
from webapp.bank.models import Item
from webapp.db.timestamps import utc_now
from webapp.errors import BusyError
from webapp.messages import message

BATCH_SIZE = 2500
"""Items of one transaction: at each commit InnoDB writes the changes to the full-text index."""
MAX_BATCH_CHARACTERS = 2_000_000
"""Of one transaction's items, or of a single longer item: the batches in progress must fit in memory."""
MAX_STATEMENT_ROWS = 1000
"""Of one statement: SQLite accepts 32,766 parameters."""
MAX_STATEMENT_CHARACTERS = 250_000
"""Of one statement, or of a single longer row. A character may have four bytes, in escaped JSON fourteen, which is
below four million bytes, the smallest default of max_allowed_packet."""
MAX_ERROR_CHARACTERS = 500
"""Of a statement that an error shows."""
MIN_LOAD_ROWS = 100
"""Rows from which on LOAD DATA is worth its three additional round trips."""
MAX_ATTEMPTS = 5
CONTENTION = message("Others are storing the same items just now.")


def find_existing_keys(connection: Connection, keys: Sequence[bytes]) -> set[bytes]:
    """Return which of these dedupe keys the bank has, in one statement."""
    rows = select_by_keys(connection, "SELECT dedupe_key FROM item WHERE dedupe_key IN (KEYS)", keys)
    return {row.dedupe_key for row in rows}


def select_by_keys(connection: Connection, query: str, keys: Sequence[bytes]) -> Sequence[Row[Any]]:
    """Return the rows of a query in which `KEYS` stands for these keys.

    SQLAlchemy takes longer to compile a list of a thousand than the server takes to find them.
    """
    if not keys:
        return []
    return connection.exec_driver_sql(
        query.replace("KEYS", ", ".join([_placeholder(connection.dialect)] * len(keys))), tuple(keys)
    ).all()


def insert(connection: Connection, rows: Sequence[dict[str, Any]]) -> list[bool]:
    """Insert rows of different dedupe keys; return of each whether it was, or is there from another transaction.

    Raises:
        BusyError: when other transactions keep storing the same items.
    """
    if len(rows) >= MIN_LOAD_ROWS and load_data_insert.load(connection, rows):
        return [True] * len(rows)
    inserted: set[bytes] = set()
    for chunk in _split_rows(rows):
        inserted |= _insert(connection, chunk)
    return [row["dedupe_key"] in inserted for row in rows]


def change(connection: Connection, changes: Mapping[int, dict[str, Any]]) -> None:
    """Change the same columns of up to `BATCH_SIZE` items; their former content is kept as a version.

    Raises:
        BusyError: when another transaction has just stored the content that one of them would get.
    """
    if not changes:
        return
    item_history.record_versions(connection, changes.keys())
    names = next(iter(changes.values())).keys()
    statement = update(Item.__table__).where(Item.__table__.c.id == bindparam("of_item"))  # type: ignore[arg-type]
    columns: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
    try:
        connection.execute(
            statement.values(version=Item.version + 1, changed_at=utc_now(), **columns),
            [
                {"of_item": item_id} | {f"new_{name}": values[name] for name in names}
                for item_id, values in changes.items()
            ],
        )
    except IntegrityError as error:
        raise BusyError(CONTENTION) from error


def _split_rows(rows: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    chunk: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        length = sum([len(value) for value in row.values() if isinstance(value, str)]) + sum(map(len, row["choices"]))
        if len(chunk) == MAX_STATEMENT_ROWS or (chunk and size + length > MAX_STATEMENT_CHARACTERS):
            yield chunk
            chunk, size = [], 0
        chunk.append(row)
        size += length
    if chunk:
        yield chunk


def _insert(connection: Connection, rows: list[dict[str, Any]]) -> set[bytes]:
    """Insert the rows without those that another transaction has just stored; return the keys of the inserted ones.

    INSERT IGNORE would hide every other error as well, and ON DUPLICATE KEY UPDATE would not
    tell which rows were new. A refused statement leaves nothing behind, so no savepoint is
    needed; after a deadlock there would be none to return to.
    """
    for _ in range(MAX_ATTEMPTS):
        keys = {row["dedupe_key"] for row in rows}
        try:
            if rows:
                connection.exec_driver_sql(*_build_insert(connection.dialect, rows))
        except DBAPIError as error:
            # The rest of the statement repeats the same for each row.
            error.statement = f"{str(error.statement)[:MAX_ERROR_CHARACTERS]}…"
            existing = find_existing_keys(connection, list(keys)) if isinstance(error, IntegrityError) else set()
            if not existing:
                raise
            rows = [row for row in rows if row["dedupe_key"] not in existing]
        else:
            return keys
    raise BusyError(CONTENTION)


def _build_insert(dialect: Dialect, rows: Sequence[dict[str, Any]]) -> tuple[str, tuple[Any, ...]]:
    """Return an INSERT of all rows, and its parameters.

    Built column by column instead of by SQLAlchemy's executemany, which processes each row three times and takes
    longer than the server. A column that is NULL in all rows is left out.
    """
    columns = load_data_insert.encode_columns(dialect, rows)
    now = str(utc_now().compile(dialect=dialect))
    names = ", ".join(map(dialect.identifier_preparer.quote, [*columns, "version", "created_at", "changed_at"]))
    row = f"({', '.join([_placeholder(dialect)] * len(columns))}, 1, {now}, {now})"
    statement = f"INSERT INTO item ({names}) VALUES {', '.join([row] * len(rows))}"  # noqa: S608 - names are ours
    return statement, tuple(chain.from_iterable(zip(*columns.values(), strict=True)))


def _placeholder(dialect: Dialect) -> str:
    return "?" if dialect.paramstyle == "qmark" else "%s"
