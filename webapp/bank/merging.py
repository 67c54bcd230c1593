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

from webapp.bank import bulk
from webapp.bank.drafts import ItemDraft
from webapp.bank.items import column_values
from webapp.bank.models import Item

FINGERPRINT = 8
"""Bytes of each."""
MOST_REMEMBERED = 32
"""Records that one item may stand for; of more, the oldest are forgotten."""


class Outcome(StrEnum):
    """What became of a record."""

    NEW = "new"
    CHANGED = "changed"
    DUPLICATE = "duplicate"


@dataclass(frozen=True)
class Given:
    """A checked draft; `identity` is the source's own name for the record, where it has one."""

    draft: ItemDraft
    identity: str | None = None


@dataclass
class _Known:
    """An item, in the bank or about to be."""

    key: bytes
    identity: bytes | None
    fingerprints: bytes | None
    collected_at: datetime | None
    id: int | None = None
    values: dict[str, Any] = field(default_factory=dict)
    """What it becomes."""
    is_seen_anew: bool = False


def merge(connection: Connection, source: str, given: Sequence[Given], began_at: datetime) -> list[Outcome]:
    """Store up to `bulk.BATCH` records that a collection, begun at `began_at`, has found in `source`.

    Raises:
        BusyError: when others keep storing the same items.
    """
    rows = [_values(source, one) for one in given]
    known = _known(connection, rows)
    by_key = {one.key: one for one in known}
    by_identity = {one.identity: one for one in known if one.identity is not None}
    outcomes = []
    added: list[_Known] = []
    for row in rows:
        key, identity = row["dedupe_key"], row["identity_key"]
        same = by_key.get(key)
        found = by_identity.get(identity, same)
        if found is None:
            one = _Known(key, identity, row["fingerprints"], None, values=row)
            added.append(one)
            by_key[key] = one
            if identity is not None:
                by_identity[identity] = one
            outcomes.append(Outcome.NEW)
        else:
            outcomes.append(_meet(found, same, row, began_at))
    bulk.change(connection, {one.id: one.values for one in known if one.id is not None and one.values})
    _remember(connection, [one for one in known if one.is_seen_anew and not one.values])
    new = iter(bulk.insert(connection, [one.values for one in added]))
    # Who stored the same in the same instant has counted it as new.
    return [
        one if one is not Outcome.NEW or next(new) else Outcome.DUPLICATE for one in outcomes
    ]  # fmt: skip


def _meet(one: _Known, same: _Known | None, row: dict[str, Any], began_at: datetime) -> Outcome:
    """Say what a record is to an item that it may be; write into the item what it becomes."""
    fingerprint = row["fingerprints"]
    if one.fingerprints is None or fingerprint in _pieces(one.fingerprints):
        return Outcome.DUPLICATE
    is_the_same_record = row["identity_key"] is not None and row["identity_key"] == one.identity
    is_seen_before = one.id is not None and one.collected_at is not None and one.collected_at < began_at
    if same is not None and same is not one:
        # It has become what another item is already.
        return Outcome.DUPLICATE
    if not is_seen_before or one.values or not (is_the_same_record or row["identity_key"] is None):
        # A twin: the source has it more than once.
        one.fingerprints = _joined(one.fingerprints, fingerprint)
        one.is_seen_anew = True
        if one.id is None or one.values:
            one.values = one.values | {"fingerprints": one.fingerprints}
        return Outcome.DUPLICATE
    one.fingerprints = fingerprint if is_the_same_record else _joined(one.fingerprints, fingerprint)
    one.values = row | {"fingerprints": one.fingerprints, "identity_key": one.identity}
    return Outcome.CHANGED


# A source that has moved has changed nothing.
_NOT_TOLD = {"collected_at", "original", "words", "stem_key", "import_id", "address"}


def _values(source: str, given: Given) -> dict[str, Any]:
    values = column_values(given.draft)
    told = {name: value for name, value in values.items() if name not in _NOT_TOLD}
    content = json.dumps(told | {"dedupe_key": values["dedupe_key"].hex()}, sort_keys=True).encode()
    identity = None
    if given.identity is not None:
        identity = hashlib.sha256(json.dumps([source, given.identity]).encode()).digest()
    return values | {"identity_key": identity, "fingerprints": hashlib.sha256(content).digest()[:FINGERPRINT]}


def _known(connection: Connection, rows: Sequence[dict[str, Any]]) -> list[_Known]:
    keys = [row["dedupe_key"] for row in rows]
    identities = [row["identity_key"] for row in rows if row["identity_key"] is not None]
    wanted: ColumnElement[bool] = Item.dedupe_key.in_(keys)
    if identities:
        wanted = or_(wanted, Item.identity_key.in_(identities))
    columns = (Item.dedupe_key, Item.identity_key, Item.fingerprints, Item.collected_at, Item.id)
    return [
        _Known(bytes(key), _bytes(identity), _bytes(fingerprints), collected_at, item_id)
        for key, identity, fingerprints, collected_at, item_id in connection.execute(select(*columns).where(wanted))
    ]


def _remember(connection: Connection, seen: Sequence[_Known]) -> None:
    if seen:
        table = Item.__table__
        connection.execute(
            update(table).where(table.c.id == bindparam("of_item")).values(fingerprints=bindparam("new")),  # type: ignore[arg-type]
            [{"of_item": one.id, "new": one.fingerprints} for one in seen if one.id is not None],
        )


def _pieces(fingerprints: bytes) -> set[bytes]:
    return {fingerprints[start : start + FINGERPRINT] for start in range(0, len(fingerprints), FINGERPRINT)}


def _joined(old: bytes, new: bytes) -> bytes:
    return (old + new)[-MOST_REMEMBERED * FINGERPRINT :]


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)
