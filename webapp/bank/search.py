"""Finding items by the words of their stem, with the same result on every database.

Databases disagree about words: which are too short or too common to be indexed, whether an
underscore or an accent belongs to them. InnoDB also forgets which common words it was told
to index when a dump is restored. So words are cut here and indexed in a column of their own,
in a form about which all agree: letters and digits without accents, and `__` after each,
which makes it long and rare enough for InnoDB and is nothing to SQLite. A search is for
beginnings of words, so it needs no `__`.
"""

from __future__ import annotations

import unicodedata

from sqlalchemy import ColumnElement, column, false, select, table
from sqlalchemy.dialects.mysql import match

from webapp.bank.deduplication import CharacterTable, letters_and_digits
from webapp.bank.models import Item

MAX_WORDS = 12
"""Words of a search that count."""
MAX_WORD_LENGTH = 60
"""Letters compared; InnoDB indexes none of more than 84."""
MAX_INDEX_LENGTH = 16_000
"""Characters; MySQL's TEXT holds 65,535 bytes, and compatibility forms can be eighteen times as long."""
LAST_LETTER = "\uffff"
"""MySQL does not know which of the characters beyond are letters."""

_without_marks = CharacterTable(lambda one: one if one <= LAST_LETTER and unicodedata.category(one)[0] != "M" else "")
_item_words = table("item_words", column("rowid"), column("item_words"))


def split_words(text: str) -> list[str]:
    """Return the different words of a text, in order, as they are compared."""
    read = letters_and_digits(text)
    if not read.isascii():
        read = unicodedata.normalize("NFC", unicodedata.normalize("NFKD", read).translate(_without_marks))
    return list(dict.fromkeys([word[:MAX_WORD_LENGTH] for word in read.split()]))


def indexed_words(stem: str) -> str:
    """Return the words of a stem as the database indexes them."""
    text = " ".join([f"{word}__" for word in split_words(stem)])
    return text if len(text) <= MAX_INDEX_LENGTH else text[:MAX_INDEX_LENGTH].rpartition(" ")[0]


def stem_has_words(dialect: str, query: str) -> ColumnElement[bool]:
    """Return the condition that the stem has, for every word asked for, one that begins with it."""
    words = split_words(query)[:MAX_WORDS]
    if not words:
        return false()
    if dialect == "sqlite":
        wanted = " ".join(f'"{word}"*' for word in words)
        return Item.id.in_(select(_item_words.c.rowid).where(_item_words.c.item_words.match(wanted)))
    return match(Item.__table__.c.words, against=" ".join(f"+{word}*" for word in words), in_boolean_mode=True)
