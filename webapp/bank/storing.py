"""A file's records into the bank: what is new is added, and a record that names an item changes it.

What a dry run foretells and what an import does are decided by the same lines.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from struct import Struct
from typing import Any, Protocol

from sqlalchemy import Connection, select

from webapp.bank import bulk
from webapp.bank.formats.records import Accepted
from webapp.bank.items import column_values
from webapp.bank.merging import Outcome
from webapp.bank.models import Item

SHORT_KEY = Struct("<q")
"""What is remembered of a key: in a file of a million records, two share them once in 37 million files."""
CONTENT = (
    "kind", "stem", "choices", "right", "explanation", "category", "difficulty", "source", "licence", "address"
)  # fmt: skip
OWNERS = "SELECT dedupe_key, id FROM item WHERE dedupe_key IN (KEYS)"
STEMS = "SELECT stem_key, MIN(id) AS id FROM item WHERE stem_key IN (KEYS) GROUP BY stem_key"
_STAYS = ("collected_at", "original")

Look = Callable[[], AbstractContextManager[Connection]]
"""A unit of work that reads; see `pooling.work`."""


@dataclass(frozen=True)
class Fate:
    """What becomes of a record; `resembles` when it is new and another one has the same stem.

    `item` is the other's id; None when it stands in the same file.
    """

    outcome: Outcome
    resembles: bool = False
    item: int | None = None


NEW, DUPLICATE = Fate(Outcome.NEW), Fate(Outcome.DUPLICATE)


@dataclass(frozen=True)
class Prepared:
    """Records, and the rows that they would be."""

    accepted: Sequence[Accepted]
    rows: Sequence[dict[str, Any]]


class _Keys(Protocol):
    """Keys met before: a set, or what is as good."""

    def __contains__(self, key: object, /) -> bool: ...

    def add(self, key: int, /) -> None: ...


class _KeysOnDisk:
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
class _Memory:
    """What earlier records of the file were, by short keys: contents, stems, and ids of items that they change."""

    contents: _Keys = field(default_factory=set[int])
    stems: _Keys = field(default_factory=set[int])
    changed: _Keys = field(default_factory=set[int])


class _Batch:
    """Some records, and what the bank knows of them."""

    def __init__(self, connection: Connection, prepared: Prepared, *, is_for_change: bool) -> None:
        """Ask the bank, with three statements at most."""
        accepted = self.accepted = prepared.accepted
        self.rows = prepared.rows
        self.named = _named(connection, accepted, is_for_change=is_for_change)
        owners = bulk.with_keys(connection, OWNERS, [row["dedupe_key"] for row in self.rows])
        self.owners: dict[bytes, int] = {row.dedupe_key: row.id for row in owners}
        stems = bulk.with_keys(connection, STEMS, [row["stem_key"] for row in self.rows])
        self.stems: dict[bytes, int] = {row.stem_key: row.id for row in stems}

    def fates(self, memory: _Memory, import_id: int | None) -> list[Fate]:
        """Say what becomes of each record, and remember it."""
        fates = []
        for one, row in zip(self.accepted, self.rows, strict=True):
            item = self.named.get(one.item)
            fates.append(self._fate(row, memory) if item is None else self._judged(row, item, memory, import_id))
        return fates

    def _fate(self, row: dict[str, Any], memory: _Memory) -> Fate:
        """Say what becomes of a record that names no item of the bank."""
        key, stem = _short(row["dedupe_key"]), _short(row["stem_key"])
        if row["dedupe_key"] in self.owners or key in memory.contents:
            return DUPLICATE
        item = self.stems.get(row["stem_key"])
        resembles = item is not None or stem in memory.stems
        memory.contents.add(key)
        memory.stems.add(stem)
        return Fate(Outcome.NEW, resembles, item) if resembles else NEW

    def _judged(self, row: dict[str, Any], item: dict[str, Any], memory: _Memory, import_id: int | None) -> Fate:
        """Say what a record is to the item that it names; an import changes an item once."""
        key = _short(row["dedupe_key"])
        owner = self.owners.get(row["dedupe_key"])
        is_what_another_is = key in memory.contents if owner is None else owner != item["id"]
        is_changed_already = item["id"] in memory.changed or (import_id is not None and item["import_id"] == import_id)
        if is_what_another_is or is_changed_already or all(row[name] == item[name] for name in CONTENT):
            return DUPLICATE
        memory.contents.add(key)
        memory.changed.add(item["id"])
        return Fate(Outcome.CHANGED)


def prepared(accepted: Sequence[Accepted]) -> Prepared:
    """Return records ready to be stored: what takes longest needs no connection."""
    return Prepared(accepted, [column_values(one.draft) for one in accepted])


def store(connection: Connection, given: Prepared, import_id: int | None = None) -> list[Fate]:
    """Store up to `bulk.BATCH` records as this import's; say what became of each.

    Of imports that store the same item in the same instant exactly one counts it as new.

    Raises:
        BusyError: when others keep storing the same items.
    """
    batch = _Batch(connection, given, is_for_change=True)
    fates = batch.fates(_Memory(), import_id)
    rows = [row | {"import_id": import_id} for row in batch.rows]
    told = list(zip(given.accepted, rows, fates, strict=True))
    new = iter(bulk.insert(connection, [row for _, row, fate in told if fate.outcome is Outcome.NEW]))
    changed = {one.item: row for one, row, fate in told if fate.outcome is Outcome.CHANGED and one.item is not None}
    bulk.change(connection, {item_id: _becoming(row) for item_id, row in changed.items()})
    return [fate if fate.outcome is not Outcome.NEW or next(new) else DUPLICATE for fate in fates]


class DryRun:
    """Stores nothing and tells as if it had. The keys of the records before are on disk: a file may have any size."""

    def __init__(self, look: Look) -> None:
        """Look into the bank on connections of `look`."""
        self._look = look
        # "" is a temporary file; without a journal, because nobody rolls back.
        file = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        file.execute("PRAGMA journal_mode = OFF")
        self._memory = _Memory(*(_KeysOnDisk(file, name) for name in ("contents", "stems", "changed")))
        weakref.finalize(self, file.close)

    def __call__(self, accepted: Sequence[Accepted]) -> list[Fate]:
        """Say what would become of a batch of records."""
        given = prepared(accepted)
        with self._look() as connection:
            batch = _Batch(connection, given, is_for_change=False)
        return batch.fates(self._memory, None)


def _named(connection: Connection, accepted: Sequence[Accepted], *, is_for_change: bool) -> dict[int | None, Any]:
    """Return the items of the bank that records name, by id."""
    ids = {one.item for one in accepted if one.item is not None}
    if not ids:
        return {}
    columns = [Item.__table__.c[name] for name in ("id", "import_id", *CONTENT)]
    found = select(*columns).where(Item.id.in_(ids))
    if is_for_change:
        found = found.with_for_update()
    return {row.id: row._asdict() for row in connection.execute(found)}


def _becoming(row: dict[str, Any]) -> dict[str, Any]:
    """Return what an item becomes; when and as what it was collected stays, and no collection changes it any more."""
    return {name: value for name, value in row.items() if name not in _STAYS} | {"fingerprints": None}


def _short(key: bytes) -> int:
    short: int = SHORT_KEY.unpack_from(key)[0]
    return short
