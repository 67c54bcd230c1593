"""The tags of items: labels by which an author finds them again."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from webapp.bank.models import Item, ItemTag

MAX_LISTED = 500


def find_tags(connection: Connection, item_ids: Collection[int]) -> dict[int, tuple[str, ...]]:
    """Return the tags of those of these items that have some, in one statement."""
    found: dict[int, tuple[str, ...]] = {}
    if item_ids:
        query = select(ItemTag.item_id, ItemTag.tag).where(ItemTag.item_id.in_(list(item_ids)))
        for item_id, tag in connection.execute(query.order_by(ItemTag.item_id, ItemTag.tag)):
            found[item_id] = (*found.get(item_id, ()), tag)
    return found


def list_tags(connection: Connection) -> list[str]:
    """Return the tags in use, the first five hundred by name."""
    return list(connection.execute(select(ItemTag.tag).distinct().order_by(ItemTag.tag).limit(MAX_LISTED)).scalars())


def has_tag(tag: str) -> ColumnElement[bool]:
    """Return the condition that an item has this tag."""
    return Item.id.in_(select(ItemTag.item_id).where(ItemTag.tag == tag))


def add_tags(connection: Connection, tags: Mapping[int, Collection[str]]) -> None:
    """Add tags to items that have none of them, in one statement."""
    rows = [{"item_id": item_id, "tag": tag} for item_id, each in tags.items() for tag in each]
    if rows:
        connection.execute(insert(ItemTag), rows)


def replace_tags(connection: Connection, item_id: int, tags: Collection[str]) -> None:
    """Give an item these tags and no others."""
    connection.execute(delete(ItemTag).where(ItemTag.item_id == item_id))
    add_tags(connection, {item_id: tags})
