"""Merge a source's records into the bank: new ones are added, a record that the source has changed makes a new version.

A source may have a record twice, with other words or in another category: both are one item, and one must not look
like a change of the other whenever they are collected. So an item keeps the fingerprints of all records that were
collected as this item, and only a record with a new fingerprint changes it. An item that was changed by an author or
imported from a file belongs to its author: collecting leaves it alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, or_, select, update

from webapp.bank import bulk_insert
from webapp.bank.item_draft import ItemDraft
from webapp.bank.items import column_values
from webapp.bank.models import Item

FINGERPRINT_BYTES = 8
MAX_FINGERPRINTS = 32
"""Fingerprints that an item keeps; the oldest are dropped."""


class RecordOutcome(StrEnum):
    """The result of merging or importing a record."""

    NEW = "new"
    CHANGED = "changed"
    DUPLICATE = "duplicate"


@dataclass(frozen=True)
class SourceRecord:
    """A valid draft; `identity` is the source's own id of the record, where it has one."""

    draft: ItemDraft
    identity: str | None = None


@dataclass
class _MergeCandidate:
    """An item that is in the bank or about to be added."""

    key: bytes
    identity: bytes | None
    fingerprints: bytes | None
    collected_at: datetime | None
    id: int | None = None
    values: dict[str, Any] = field(default_factory=dict)
    """The columns to write."""
    has_new_fingerprint: bool = False

    @property
    def belongs_to_author(self) -> bool:
        """Whether no collection may change it."""
        return self.fingerprints is None

    def knows(self, fingerprint: bytes) -> bool:
        """Tell whether a record with this fingerprint was collected as this item before."""
        return fingerprint in _split_fingerprints(self.fingerprints or b"")

    def is_from_earlier_collection(self, started_at: datetime) -> bool:
        """Tell whether it is the item of an earlier collection, unchanged by the present one."""
        is_collected = self.id is not None and self.collected_at is not None and self.collected_at < started_at
        return is_collected and not self.values

    def add_fingerprint(self, fingerprint: bytes) -> None:
        """Keep the fingerprint of another record that stands for this item."""
        self.fingerprints = _append_fingerprint(self.fingerprints or b"", fingerprint)
        self.has_new_fingerprint = True
        if self.id is None or self.values:
            self.values = self.values | {"fingerprints": self.fingerprints}

    def change(self, row: dict[str, Any], *, replaces_fingerprints: bool) -> None:
        """Take the content of a row."""
        fingerprint = row["fingerprints"]
        if replaces_fingerprints:
            self.fingerprints = fingerprint
        else:
            self.fingerprints = _append_fingerprint(self.fingerprints or b"", fingerprint)
        self.values = row | {"fingerprints": self.fingerprints, "identity_key": self.identity}


class _CandidateIndex:
    """The items that the records of a batch may be, by content and by the source's identity."""

    def __init__(self, known: Sequence[_MergeCandidate]) -> None:
        self.known = known
        self.added: list[_MergeCandidate] = []
        self._by_key = {candidate.key: candidate for candidate in known}
        self._by_identity = {candidate.identity: candidate for candidate in known if candidate.identity is not None}

    def merge_row(self, row: dict[str, Any], started_at: datetime) -> RecordOutcome:
        """Decide what a row is, and write into its item what that becomes."""
        same_content = self._by_key.get(row["dedupe_key"])
        candidate = self._by_identity.get(row["identity_key"], same_content)
        if candidate is None:
            self._add(row)
            return RecordOutcome.NEW
        if same_content is not None and same_content is not candidate:
            # The record has become what another item already is.
            return RecordOutcome.DUPLICATE
        return _merge_into(candidate, row, started_at)

    def changes(self) -> dict[int, dict[str, Any]]:
        """Return the values of the items that change, by id."""
        return {item.id: item.values for item in self.known if item.id is not None and item.values}

    def _add(self, row: dict[str, Any]) -> None:
        key, identity = row["dedupe_key"], row["identity_key"]
        candidate = _MergeCandidate(key, identity, row["fingerprints"], None, values=row)
        self.added.append(candidate)
        self._by_key[key] = candidate
        if identity is not None:
            self._by_identity[identity] = candidate


def merge(
    connection: Connection, source: str, records: Sequence[SourceRecord], started_at: datetime
) -> list[RecordOutcome]:
    """Store up to `bulk_insert.BATCH_SIZE` records that a collection which began at `started_at` has found in `source`.

    Raises:
        BusyError: when other transactions keep storing the same items.
    """
    rows = [_to_row(source, record) for record in records]
    index = _CandidateIndex(_load_candidates(connection, rows))
    outcomes = [index.merge_row(row, started_at) for row in rows]
    bulk_insert.change(connection, index.changes())
    _save_fingerprints(connection, [item for item in index.known if item.has_new_fingerprint and not item.values])
    is_inserted = iter(bulk_insert.insert(connection, [item.values for item in index.added]))
    # Another transaction that stored the same item at the same time has counted it as new.
    return [
        outcome if outcome is not RecordOutcome.NEW or next(is_inserted) else RecordOutcome.DUPLICATE
        for outcome in outcomes
    ]


def _merge_into(candidate: _MergeCandidate, row: dict[str, Any], started_at: datetime) -> RecordOutcome:
    if candidate.belongs_to_author or candidate.knows(row["fingerprints"]):
        return RecordOutcome.DUPLICATE
    identity = row["identity_key"]
    is_same_record = identity is not None and identity == candidate.identity
    if candidate.is_from_earlier_collection(started_at) and (is_same_record or identity is None):
        candidate.change(row, replaces_fingerprints=is_same_record)
        return RecordOutcome.CHANGED
    # The source has the record more than once.
    candidate.add_fingerprint(row["fingerprints"])
    return RecordOutcome.DUPLICATE


# A source whose address changes has not changed its records. No source pins choices; fingerprints are older than pins.
_NOT_FINGERPRINTED = {"collected_at", "original", "words", "stem_key", "import_id", "address", "pinned"}


def _to_row(source: str, record: SourceRecord) -> dict[str, Any]:
    values = column_values(record.draft)
    compared = {name: value for name, value in values.items() if name not in _NOT_FINGERPRINTED}
    content = json.dumps(compared | {"dedupe_key": values["dedupe_key"].hex()}, sort_keys=True).encode()
    identity = None
    if record.identity is not None:
        identity = hashlib.sha256(json.dumps([source, record.identity]).encode()).digest()
    return values | {"identity_key": identity, "fingerprints": hashlib.sha256(content).digest()[:FINGERPRINT_BYTES]}


def _load_candidates(connection: Connection, rows: Sequence[dict[str, Any]]) -> list[_MergeCandidate]:
    keys = [row["dedupe_key"] for row in rows]
    identities = [row["identity_key"] for row in rows if row["identity_key"] is not None]
    condition: ColumnElement[bool] = Item.dedupe_key.in_(keys)
    if identities:
        condition = or_(condition, Item.identity_key.in_(identities))
    columns = (Item.dedupe_key, Item.identity_key, Item.fingerprints, Item.collected_at, Item.id)
    return [
        _MergeCandidate(bytes(key), _to_bytes(identity), _to_bytes(fingerprints), collected_at, item_id)
        for key, identity, fingerprints, collected_at, item_id in connection.execute(select(*columns).where(condition))
    ]


def _save_fingerprints(connection: Connection, candidates: Sequence[_MergeCandidate]) -> None:
    if candidates:
        table = Item.__table__
        connection.execute(
            update(table).where(table.c.id == bindparam("of_item")).values(fingerprints=bindparam("new")),  # type: ignore[arg-type]
            [{"of_item": item.id, "new": item.fingerprints} for item in candidates if item.id is not None],
        )


def _split_fingerprints(fingerprints: bytes) -> set[bytes]:
    return {fingerprints[start : start + FINGERPRINT_BYTES] for start in range(0, len(fingerprints), FINGERPRINT_BYTES)}


def _append_fingerprint(old: bytes, new: bytes) -> bytes:
    return (old + new)[-MAX_FINGERPRINTS * FINGERPRINT_BYTES :]


def _to_bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)
