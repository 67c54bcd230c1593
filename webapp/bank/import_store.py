"""Store a file's records in the bank: new ones are added, and a record that names an item changes it.

A dry run and an import decide by the same code.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from struct import Struct
from typing import Any, Protocol

from sqlalchemy import Connection, select

from poolproof.transactions.unit_of_work import ConnectionFactory
from webapp.bank import bulk_insert, tags
from webapp.bank.formats.parse_result import Accepted
from webapp.bank.item_draft import DETAIL_FIELDS
from webapp.bank.items import changed_values, column_values
from webapp.bank.models import Item
from webapp.bank.source_sync import RecordOutcome

SHORT_KEY = Struct("<q")
"""The part of a key that is kept: two of a million records have the same one in one of 37 million files."""
CONTENT_COLUMNS = ("kind", "stem", "choices", "right", "pinned", *DETAIL_FIELDS)
OWNERS_QUERY = "SELECT dedupe_key, id FROM item WHERE dedupe_key IN (KEYS)"
STEMS_QUERY = "SELECT stem_key, MIN(id) AS id FROM item WHERE stem_key IN (KEYS) GROUP BY stem_key"


@dataclass(frozen=True)
class RecordResult:
    """The outcome of a record, which is a possible duplicate when it is new and another item has the same stem.

    `similar_item_id` is the other's id; None when that is in the same file.
    """

    outcome: RecordOutcome
    is_possible_duplicate: bool = False
    similar_item_id: int | None = None


DUPLICATE = RecordResult(RecordOutcome.DUPLICATE)


@dataclass(frozen=True)
class PreparedBatch:
    """Records and their rows."""

    accepted: Sequence[Accepted]
    rows: Sequence[dict[str, Any]]


class _KeySet(Protocol):
    """The keys of earlier records, in memory or on disk."""

    def __contains__(self, key: object, /) -> bool: ...

    def add(self, key: int, /) -> None: ...


class _DiskKeySet:
    """A set of short keys in a temporary SQLite file, which is deleted when it is closed."""

    def __init__(self, file: sqlite3.Connection, name: str) -> None:
        file.execute(f"CREATE TABLE {name} (key INTEGER PRIMARY KEY)")
        self._file = file
        self._find = f"SELECT 1 FROM {name} WHERE key = ?"  # noqa: S608 - our own name
        self._add = f"INSERT OR IGNORE INTO {name} VALUES (?)"  # noqa: S608

    def __contains__(self, key: object) -> bool:
        return self._file.execute(self._find, (key,)).fetchone() is not None

    def add(self, key: int) -> None:
        self._file.execute(self._add, (key,))


@dataclass
class _SeenKeys:
    """Short keys of the contents and stems of the file's earlier records, and the ids of items that they change."""

    contents: _KeySet = field(default_factory=set[int])
    stems: _KeySet = field(default_factory=set[int])
    changed: _KeySet = field(default_factory=set[int])


class _BatchLookup:
    """The records of a batch, and the bank's items that they name or equal."""

    def __init__(self, connection: Connection, prepared: PreparedBatch, *, for_update: bool) -> None:
        """Look them up, with at most three statements."""
        accepted = self.accepted = prepared.accepted
        self.rows = prepared.rows
        self.named = _load_named_items(connection, accepted, for_update=for_update)
        owners = bulk_insert.select_by_keys(connection, OWNERS_QUERY, [row["dedupe_key"] for row in self.rows])
        self.owners: dict[bytes, int] = {row.dedupe_key: row.id for row in owners}
        stems = bulk_insert.select_by_keys(connection, STEMS_QUERY, [row["stem_key"] for row in self.rows])
        self.stems: dict[bytes, int] = {row.stem_key: row.id for row in stems}

    def decide_all(self, seen: _SeenKeys, import_id: int | None) -> list[RecordResult]:
        """Return the result of each record, and add it to the seen keys."""
        results = []
        for record, row in zip(self.accepted, self.rows, strict=True):
            item = self.named.get(record.item_id)
            if item is None:
                results.append(self._decide_unnamed(row, seen))
            else:
                results.append(self._decide_named(row, item, seen, import_id))
        return results

    def _decide_unnamed(self, row: dict[str, Any], seen: _SeenKeys) -> RecordResult:
        """Return the result of a record that names no item of the bank."""
        key, stem = _short_key(row["dedupe_key"]), _short_key(row["stem_key"])
        if row["dedupe_key"] in self.owners or key in seen.contents:
            return DUPLICATE
        similar_item_id = self.stems.get(row["stem_key"])
        is_possible_duplicate = similar_item_id is not None or stem in seen.stems
        seen.contents.add(key)
        seen.stems.add(stem)
        return RecordResult(RecordOutcome.NEW, is_possible_duplicate, similar_item_id)

    def _decide_named(
        self, row: dict[str, Any], item: dict[str, Any], seen: _SeenKeys, import_id: int | None
    ) -> RecordResult:
        """Return the result of a record that names an item; an import changes an item once."""
        key = _short_key(row["dedupe_key"])
        owner_id = self.owners.get(row["dedupe_key"])
        equals_another = key in seen.contents if owner_id is None else owner_id != item["id"]
        is_already_changed = item["id"] in seen.changed or (import_id is not None and item["import_id"] == import_id)
        if equals_another or is_already_changed or all(row[name] == item[name] for name in CONTENT_COLUMNS):
            return DUPLICATE
        seen.contents.add(key)
        seen.changed.add(item["id"])
        return RecordResult(RecordOutcome.CHANGED)


def prepare(accepted: Sequence[Accepted]) -> PreparedBatch:
    """Compute the rows of records; this takes longest and needs no connection."""
    return PreparedBatch(accepted, [column_values(record.draft) for record in accepted])


def store(connection: Connection, prepared_batch: PreparedBatch, import_id: int | None = None) -> list[RecordResult]:
    """Store up to `bulk_insert.BATCH_SIZE` records for this import; return the result of each.

    Of imports that store the same item at the same time exactly one counts it as new.

    Raises:
        BusyError: when other transactions keep storing the same items.
    """
    lookup = _BatchLookup(connection, prepared_batch, for_update=True)
    results = lookup.decide_all(_SeenKeys(), import_id)
    rows = [row | {"import_id": import_id} for row in lookup.rows]
    new_rows = [row for row, result in zip(rows, results, strict=True) if result.outcome is RecordOutcome.NEW]
    inserted = bulk_insert.insert(connection, new_rows)
    _add_tags(
        connection, prepared_batch, {row["dedupe_key"] for row, done in zip(new_rows, inserted, strict=True) if done}
    )
    is_inserted = iter(inserted)
    changes = {
        record.item_id: _changed_columns(row)
        for record, row, result in zip(prepared_batch.accepted, rows, results, strict=True)
        if result.outcome is RecordOutcome.CHANGED and record.item_id is not None
    }
    bulk_insert.change(connection, changes)
    return [result if result.outcome is not RecordOutcome.NEW or next(is_inserted) else DUPLICATE for result in results]


class DryRun:
    """Stores nothing and returns the results as if it had. The seen keys are on disk: a file may have any size."""

    def __init__(self, connect: ConnectionFactory) -> None:
        """Look the records up with connections of `connect`."""
        self._connect = connect
        # "" is a temporary file; it needs no journal, because nothing is rolled back.
        file = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        file.execute("PRAGMA journal_mode = OFF")
        self._seen = _SeenKeys(*(_DiskKeySet(file, name) for name in ("contents", "stems", "changed")))
        weakref.finalize(self, file.close)

    def __call__(self, accepted: Sequence[Accepted]) -> list[RecordResult]:
        """Return what the results of a batch of records would be."""
        prepared_batch = prepare(accepted)
        with self._connect() as connection:
            lookup = _BatchLookup(connection, prepared_batch, for_update=False)
        return lookup.decide_all(self._seen, None)


def _load_named_items(
    connection: Connection, accepted: Sequence[Accepted], *, for_update: bool
) -> dict[int | None, Any]:
    """Return the items of the bank that records name, by id."""
    ids = {record.item_id for record in accepted if record.item_id is not None}
    if not ids:
        return {}
    columns = [Item.__table__.c[name] for name in ("id", "import_id", *CONTENT_COLUMNS)]
    query = select(*columns).where(Item.id.in_(ids))
    if for_update:
        query = query.with_for_update()
    return {row.id: row._asdict() for row in connection.execute(query)}


def _add_tags(connection: Connection, prepared: PreparedBatch, inserted_keys: set[bytes]) -> None:
    """Store the tags of the records that were inserted; a record that changes an item leaves its tags as they are."""
    tags_of = {
        row["dedupe_key"]: record.draft.tags
        for record, row in zip(prepared.accepted, prepared.rows, strict=True)
        if record.draft.tags and row["dedupe_key"] in inserted_keys
    }
    ids = bulk_insert.select_by_keys(connection, OWNERS_QUERY, list(tags_of))
    tags.add_tags(connection, {row.id: tags_of[bytes(row.dedupe_key)] for row in ids})


def _changed_columns(row: dict[str, Any]) -> dict[str, Any]:
    """Return what a change of an item writes; without fingerprints, no collection changes it any more."""
    return changed_values(row) | {"fingerprints": None}


def _short_key(key: bytes) -> int:
    short: int = SHORT_KEY.unpack_from(key)[0]
    return short
