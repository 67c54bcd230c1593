"""A file's records into the bank: what is new is added, and a record that names an item changes it.

What a dry run foretells and what an import does are decided by the same lines.
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
from webapp.bank import bulk_insert
from webapp.bank.formats.parse_result import Accepted
from webapp.bank.items import column_values
from webapp.bank.models import Item
from webapp.bank.source_sync import RecordOutcome

SHORT_KEY = Struct("<q")
"""What is remembered of a key: in a file of a million records, two share them once in 37 million files."""
CONTENT_COLUMNS = (
    "kind", "stem", "choices", "right", "explanation", "category", "difficulty", "source", "licence", "address"
)  # fmt: skip
OWNERS_QUERY = "SELECT dedupe_key, id FROM item WHERE dedupe_key IN (KEYS)"
STEMS_QUERY = "SELECT stem_key, MIN(id) AS id FROM item WHERE stem_key IN (KEYS) GROUP BY stem_key"
_PRESERVED_COLUMNS = ("collected_at", "original")


@dataclass(frozen=True)
class RecordResult:
    """What becomes of a record; `resembles` when it is new and another one has the same stem.

    `item` is the other's id; None when it stands in the same file.
    """

    outcome: RecordOutcome
    is_possible_duplicate: bool = False
    similar_item_id: int | None = None


NEW, DUPLICATE = RecordResult(RecordOutcome.NEW), RecordResult(RecordOutcome.DUPLICATE)


@dataclass(frozen=True)
class PreparedBatch:
    """Records, and the rows that they would be."""

    accepted: Sequence[Accepted]
    rows: Sequence[dict[str, Any]]


class _KeySet(Protocol):
    """Keys met before: a set, or what is as good."""

    def __contains__(self, key: object, /) -> bool: ...

    def add(self, key: int, /) -> None: ...


class _DiskKeySet:
    """A set of short keys that takes no memory, in a temporary file of SQLite's that is gone when it is closed."""

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
    """What earlier records of the file were, by short keys: contents, stems, and ids of items that they change."""

    contents: _KeySet = field(default_factory=set[int])
    stems: _KeySet = field(default_factory=set[int])
    changed: _KeySet = field(default_factory=set[int])


class _BatchLookup:
    """Some records, and what the bank knows of them."""

    def __init__(self, connection: Connection, prepared: PreparedBatch, *, for_update: bool) -> None:
        """Ask the bank, with three statements at most."""
        accepted = self.accepted = prepared.accepted
        self.rows = prepared.rows
        self.named = _load_named_items(connection, accepted, for_update=for_update)
        owners = bulk_insert.select_by_keys(connection, OWNERS_QUERY, [row["dedupe_key"] for row in self.rows])
        self.owners: dict[bytes, int] = {row.dedupe_key: row.id for row in owners}
        stems = bulk_insert.select_by_keys(connection, STEMS_QUERY, [row["stem_key"] for row in self.rows])
        self.stems: dict[bytes, int] = {row.stem_key: row.id for row in stems}

    def decide_all(self, seen: _SeenKeys, import_id: int | None) -> list[RecordResult]:
        """Say what becomes of each record, and remember it."""
        fates = []
        for one, row in zip(self.accepted, self.rows, strict=True):
            item = self.named.get(one.item_id)
            fates.append(
                self._decide_unnamed(row, seen) if item is None else self._decide_named(row, item, seen, import_id)
            )
        return fates

    def _decide_unnamed(self, row: dict[str, Any], seen: _SeenKeys) -> RecordResult:
        """Say what becomes of a record that names no item of the bank."""
        key, stem = _short_key(row["dedupe_key"]), _short_key(row["stem_key"])
        if row["dedupe_key"] in self.owners or key in seen.contents:
            return DUPLICATE
        item = self.stems.get(row["stem_key"])
        resembles = item is not None or stem in seen.stems
        seen.contents.add(key)
        seen.stems.add(stem)
        return RecordResult(RecordOutcome.NEW, resembles, item) if resembles else NEW

    def _decide_named(
        self, row: dict[str, Any], item: dict[str, Any], seen: _SeenKeys, import_id: int | None
    ) -> RecordResult:
        """Say what a record is to the item that it names; an import changes an item once."""
        key = _short_key(row["dedupe_key"])
        owner = self.owners.get(row["dedupe_key"])
        is_what_another_is = key in seen.contents if owner is None else owner != item["id"]
        is_changed_already = item["id"] in seen.changed or (import_id is not None and item["import_id"] == import_id)
        if is_what_another_is or is_changed_already or all(row[name] == item[name] for name in CONTENT_COLUMNS):
            return DUPLICATE
        seen.contents.add(key)
        seen.changed.add(item["id"])
        return RecordResult(RecordOutcome.CHANGED)


def prepare(accepted: Sequence[Accepted]) -> PreparedBatch:
    """Return records ready to be stored: what takes longest needs no connection."""
    return PreparedBatch(accepted, [column_values(one.draft) for one in accepted])


def store(connection: Connection, prepared_batch: PreparedBatch, import_id: int | None = None) -> list[RecordResult]:
    """Store up to `bulk.BATCH` records as this import's; say what became of each.

    Of imports that store the same item in the same instant exactly one counts it as new.

    Raises:
        BusyError: when others keep storing the same items.
    """
    batch = _BatchLookup(connection, prepared_batch, for_update=True)
    fates = batch.decide_all(_SeenKeys(), import_id)
    rows = [row | {"import_id": import_id} for row in batch.rows]
    told = list(zip(prepared_batch.accepted, rows, fates, strict=True))
    new = iter(bulk_insert.insert(connection, [row for _, row, fate in told if fate.outcome is RecordOutcome.NEW]))
    changed = {
        one.item_id: row for one, row, fate in told if fate.outcome is RecordOutcome.CHANGED and one.item_id is not None
    }
    bulk_insert.change(connection, {item_id: _updated_values(row) for item_id, row in changed.items()})
    return [fate if fate.outcome is not RecordOutcome.NEW or next(new) else DUPLICATE for fate in fates]


class DryRun:
    """Stores nothing and tells as if it had. The keys of the records before are on disk: a file may have any size."""

    def __init__(self, connect: ConnectionFactory) -> None:
        """Look into the bank on connections of `look`."""
        self._connect = connect
        # "" is a temporary file; without a journal, because nobody rolls back.
        file = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        file.execute("PRAGMA journal_mode = OFF")
        self._seen = _SeenKeys(*(_DiskKeySet(file, name) for name in ("contents", "stems", "changed")))
        weakref.finalize(self, file.close)

    def __call__(self, accepted: Sequence[Accepted]) -> list[RecordResult]:
        """Say what would become of a batch of records."""
        given = prepare(accepted)
        with self._connect() as connection:
            batch = _BatchLookup(connection, given, for_update=False)
        return batch.decide_all(self._seen, None)


def _load_named_items(
    connection: Connection, accepted: Sequence[Accepted], *, for_update: bool
) -> dict[int | None, Any]:
    """Return the items of the bank that records name, by id."""
    ids = {one.item_id for one in accepted if one.item_id is not None}
    if not ids:
        return {}
    columns = [Item.__table__.c[name] for name in ("id", "import_id", *CONTENT_COLUMNS)]
    found = select(*columns).where(Item.id.in_(ids))
    if for_update:
        found = found.with_for_update()
    return {row.id: row._asdict() for row in connection.execute(found)}


def _updated_values(row: dict[str, Any]) -> dict[str, Any]:
    """Return what an item becomes; when and as what it was collected stays, and no collection changes it any more."""
    return {name: value for name, value in row.items() if name not in _PRESERVED_COLUMNS} | {"fingerprints": None}


def _short_key(key: bytes) -> int:
    short: int = SHORT_KEY.unpack_from(key)[0]
    return short
