"""Records of a source into the bank: what is new is added, what the source has changed becomes a new version.

A source may have a record twice, worded or filed differently: both are one item, and one must not look
like a change of the other whenever they are collected. So an item remembers the fingerprints of all records that were
seen as this item, and only one that nobody has seen before changes it. An item that a person has changed,
or that came by file, is that person's: collecting leaves it alone.
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
"""Bytes of each."""
MAX_FINGERPRINTS = 32
"""Records that one item may stand for; of more, the oldest are forgotten."""


class RecordOutcome(StrEnum):
    """What became of a record."""

    NEW = "new"
    CHANGED = "changed"
    DUPLICATE = "duplicate"


@dataclass(frozen=True)
class SourceRecord:
    """A checked draft; `identity` is the source's own name for the record, where it has one."""

    draft: ItemDraft
    identity: str | None = None


@dataclass
class _MergeCandidate:
    """An item, in the bank or about to be."""

    key: bytes
    identity: bytes | None
    fingerprints: bytes | None
    collected_at: datetime | None
    id: int | None = None
    values: dict[str, Any] = field(default_factory=dict)
    """What it becomes."""
    has_new_fingerprint: bool = False


def merge(
    connection: Connection, source: str, records: Sequence[SourceRecord], started_at: datetime
) -> list[RecordOutcome]:
    """Store up to `bulk.BATCH` records that a collection, begun at `began_at`, has found in `source`.

    Raises:
        BusyError: when others keep storing the same items.
    """
    rows = [_to_row(source, one) for one in records]
    known = _load_candidates(connection, rows)
    by_key = {one.key: one for one in known}
    by_identity = {one.identity: one for one in known if one.identity is not None}
    outcomes = []
    added: list[_MergeCandidate] = []
    for row in rows:
        key, identity = row["dedupe_key"], row["identity_key"]
        same = by_key.get(key)
        found = by_identity.get(identity, same)
        if found is None:
            one = _MergeCandidate(key, identity, row["fingerprints"], None, values=row)
            added.append(one)
            by_key[key] = one
            if identity is not None:
                by_identity[identity] = one
            outcomes.append(RecordOutcome.NEW)
        else:
            outcomes.append(_merge_record(found, same, row, started_at))
    bulk_insert.change(connection, {one.id: one.values for one in known if one.id is not None and one.values})
    _save_fingerprints(connection, [one for one in known if one.has_new_fingerprint and not one.values])
    new = iter(bulk_insert.insert(connection, [one.values for one in added]))
    # Who stored the same in the same instant has counted it as new.
    return [
        one if one is not RecordOutcome.NEW or next(new) else RecordOutcome.DUPLICATE for one in outcomes
    ]  # fmt: skip


def _merge_record(
    candidate: _MergeCandidate, same: _MergeCandidate | None, row: dict[str, Any], started_at: datetime
) -> RecordOutcome:
    """Say what a record is to an item that it may be; write into the item what it becomes."""
    fingerprint = row["fingerprints"]
    if candidate.fingerprints is None or fingerprint in _split_fingerprints(candidate.fingerprints):
        return RecordOutcome.DUPLICATE
    is_the_same_record = row["identity_key"] is not None and row["identity_key"] == candidate.identity
    is_seen_before = (
        candidate.id is not None and candidate.collected_at is not None and candidate.collected_at < started_at
    )
    if same is not None and same is not candidate:
        # It has become what another item is already.
        return RecordOutcome.DUPLICATE
    if not is_seen_before or candidate.values or not (is_the_same_record or row["identity_key"] is None):
        # A twin: the source has it more than once.
        candidate.fingerprints = _append_fingerprint(candidate.fingerprints, fingerprint)
        candidate.has_new_fingerprint = True
        if candidate.id is None or candidate.values:
            candidate.values = candidate.values | {"fingerprints": candidate.fingerprints}
        return RecordOutcome.DUPLICATE
    candidate.fingerprints = (
        fingerprint if is_the_same_record else _append_fingerprint(candidate.fingerprints, fingerprint)
    )
    candidate.values = row | {"fingerprints": candidate.fingerprints, "identity_key": candidate.identity}
    return RecordOutcome.CHANGED


# A source that has moved has changed nothing.
_NOT_FINGERPRINTED = {"collected_at", "original", "words", "stem_key", "import_id", "address"}


def _to_row(source: str, record: SourceRecord) -> dict[str, Any]:
    values = column_values(record.draft)
    told = {name: value for name, value in values.items() if name not in _NOT_FINGERPRINTED}
    content = json.dumps(told | {"dedupe_key": values["dedupe_key"].hex()}, sort_keys=True).encode()
    identity = None
    if record.identity is not None:
        identity = hashlib.sha256(json.dumps([source, record.identity]).encode()).digest()
    return values | {"identity_key": identity, "fingerprints": hashlib.sha256(content).digest()[:FINGERPRINT_BYTES]}


def _load_candidates(connection: Connection, rows: Sequence[dict[str, Any]]) -> list[_MergeCandidate]:
    keys = [row["dedupe_key"] for row in rows]
    identities = [row["identity_key"] for row in rows if row["identity_key"] is not None]
    wanted: ColumnElement[bool] = Item.dedupe_key.in_(keys)
    if identities:
        wanted = or_(wanted, Item.identity_key.in_(identities))
    columns = (Item.dedupe_key, Item.identity_key, Item.fingerprints, Item.collected_at, Item.id)
    return [
        _MergeCandidate(bytes(key), _to_bytes(identity), _to_bytes(fingerprints), collected_at, item_id)
        for key, identity, fingerprints, collected_at, item_id in connection.execute(select(*columns).where(wanted))
    ]


def _save_fingerprints(connection: Connection, candidates: Sequence[_MergeCandidate]) -> None:
    if candidates:
        table = Item.__table__
        connection.execute(
            update(table).where(table.c.id == bindparam("of_item")).values(fingerprints=bindparam("new")),  # type: ignore[arg-type]
            [{"of_item": one.id, "new": one.fingerprints} for one in candidates if one.id is not None],
        )


def _split_fingerprints(fingerprints: bytes) -> set[bytes]:
    return {fingerprints[start : start + FINGERPRINT_BYTES] for start in range(0, len(fingerprints), FINGERPRINT_BYTES)}


def _append_fingerprint(old: bytes, new: bytes) -> bytes:
    return (old + new)[-MAX_FINGERPRINTS * FINGERPRINT_BYTES :]


def _to_bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)
