"""Many items at once: multi-row statements that leave out what the bank already has."""

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

BATCH_SIZE = 2500
"""Items of one transaction: at each commit InnoDB writes what the full-text index has gathered."""
MAX_BATCH_CHARACTERS = 2_000_000
"""Characters of one transaction's items, or one item: what is under way must fit in memory."""
MAX_STATEMENT_ROWS = 1000
"""Of one statement: SQLite takes 32,766 parameters."""
MAX_STATEMENT_CHARACTERS = 250_000
"""Characters of one statement, or one row. Each may be four bytes, in JSON and escaped fourteen: less than the four
million bytes that the most frugal server takes unless it was told otherwise."""
MAX_ERROR_CHARACTERS = 500
"""Characters of a statement that an error shows."""
MIN_LOAD_ROWS = 100
"""Rows from which on loading them is worth its three round trips more."""
MAX_ATTEMPTS = 5


def find_existing_keys(connection: Connection, keys: Sequence[bytes]) -> set[bytes]:
    """Return which of these dedupe keys the bank has, in one statement."""
    found = select_by_keys(connection, "SELECT dedupe_key FROM item WHERE dedupe_key IN (KEYS)", keys)
    return {row.dedupe_key for row in found}


def select_by_keys(connection: Connection, query: str, keys: Sequence[bytes]) -> Sequence[Row[Any]]:
    """Return what a query selects whose `KEYS` are these.

    SQLAlchemy takes longer to take apart a list of a thousand than the server to find them.
    """
    if not keys:
        return []
    return connection.exec_driver_sql(
        query.replace("KEYS", ", ".join([_placeholder(connection.dialect)] * len(keys))), tuple(keys)
    ).all()


def insert(connection: Connection, rows: Sequence[dict[str, Any]]) -> list[bool]:
    """Insert rows of different dedupe keys; say for each whether it was, or somebody had stored it since we looked.

    Raises:
        BusyError: when others keep storing the same items.
    """
    if len(rows) >= MIN_LOAD_ROWS and load_data_insert.load(connection, rows):
        return [True] * len(rows)
    inserted: set[bytes] = set()
    for some in _split_rows(rows):
        inserted |= _insert(connection, some)
    return [row["dedupe_key"] in inserted for row in rows]


def change(connection: Connection, changes: Mapping[int, dict[str, Any]]) -> None:
    """Change up to `BATCH` items, all the same columns; what they were is kept as a version.

    Raises:
        BusyError: when somebody has stored in this instant what one of them becomes.
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
            [{"of_item": one} | {f"new_{name}": values[name] for name in names} for one, values in changes.items()],
        )
    except IntegrityError as error:
        raise BusyError("Others are storing the same items just now; try again in a moment.") from error


def _split_rows(rows: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    some: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        length = sum([len(value) for value in row.values() if isinstance(value, str)]) + sum(map(len, row["choices"]))
        if len(some) == MAX_STATEMENT_ROWS or (some and size + length > MAX_STATEMENT_CHARACTERS):
            yield some
            some, size = [], 0
        some.append(row)
        size += length
    if some:
        yield some


def _insert(connection: Connection, rows: list[dict[str, Any]]) -> set[bytes]:
    """Insert the rows but those that somebody has stored since we looked; return the keys of the inserted ones.

    INSERT IGNORE would hide every other error as well, ON DUPLICATE KEY UPDATE would not
    tell which rows were new. A refused statement leaves nothing behind, so no savepoint is
    needed; after a deadlock there would be none to go back to.
    """
    for _ in range(MAX_ATTEMPTS):
        keys = {row["dedupe_key"] for row in rows}
        try:
            if rows:
                connection.exec_driver_sql(*_build_insert(connection.dialect, rows))
        except DBAPIError as error:
            # The rest is the same again for each row.
            error.statement = f"{str(error.statement)[:MAX_ERROR_CHARACTERS]}…"
            taken = find_existing_keys(connection, list(keys)) if isinstance(error, IntegrityError) else set()
            if not taken:
                raise
            rows = [row for row in rows if row["dedupe_key"] not in taken]
        else:
            return keys
    raise BusyError("Others are storing the same items just now; try again in a moment.")


def _build_insert(dialect: Dialect, rows: Sequence[dict[str, Any]]) -> tuple[str, tuple[Any, ...]]:
    """Return an INSERT of all rows, and its parameters.

    Column by column, and past SQLAlchemy's own executemany, which takes each row apart three times: what that
    took was longer than what the server needs. What all rows leave empty is left out.
    """
    columns = load_data_insert.encode_columns(dialect, rows)
    now = str(utc_now().compile(dialect=dialect))
    names = ", ".join(map(dialect.identifier_preparer.quote, [*columns, "version", "created_at", "changed_at"]))
    row = f"({', '.join([_placeholder(dialect)] * len(columns))}, 1, {now}, {now})"
    statement = f"INSERT INTO item ({names}) VALUES {', '.join([row] * len(rows))}"  # noqa: S608 - names are ours
    return statement, tuple(chain.from_iterable(zip(*columns.values(), strict=True)))


def _placeholder(dialect: Dialect) -> str:
    return "?" if dialect.paramstyle == "qmark" else "%s"
