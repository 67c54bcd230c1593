"""Finding items by the words of their stem, through the full-text index of each database."""

from __future__ import annotations

import re

from sqlalchemy import ColumnElement, and_, bindparam, false, select, text
from sqlalchemy.dialects.mysql import match

from webapp.bank.models import Item

SHORTEST_INDEXED = 3
"""InnoDB indexes words of three letters and more (innodb_ft_min_token_size)."""
MOST_WORDS = 12
LONGEST_WORD = 60
"""Letters compared; InnoDB indexes none of more than 84."""

_fts5_rows = text("SELECT rowid FROM item_words WHERE item_words MATCH :wanted").columns(Item.id)


def stem_has_words(dialect: str, asked: str) -> ColumnElement[bool]:
    """Return the condition that the stem has, for every word asked for, one that begins with it.

    Words of one or two letters are not in the index. They are compared with LIKE: beside
    longer words among the few rows these leave, alone by walking the ids from the cursor on.
    """
    words = [word[:LONGEST_WORD] for word in re.findall(r"\w+", asked.replace("_", " ").casefold())[:MOST_WORDS]]
    long = [word for word in words if len(word) >= SHORTEST_INDEXED]
    short = [word for word in words if len(word) < SHORTEST_INDEXED]
    if not words:
        return false()
    conditions: list[ColumnElement[bool]] = [Item.stem.icontains(word, autoescape=True) for word in short]
    if long and dialect == "sqlite":
        wanted = " ".join(f'"{word}"*' for word in long)
        conditions.append(Item.id.in_(select(_fts5_rows.bindparams(bindparam("wanted", wanted)).subquery().c.id)))
    elif long:
        wanted = " ".join(f"+{word}*" for word in long)
        conditions.append(match(Item.__table__.c.stem, against=wanted, in_boolean_mode=True))
    return and_(*conditions)
