"""Finding items by the words of their stem, with the same result on every database.

Databases disagree about words: which are too short or too common to be indexed, and whether an
underscore or an accent belongs to them. InnoDB also loses its setting of common words when a dump
is restored. So stems are split into words here and indexed in a column of their own, in a form
that all databases treat alike: letters and digits without accents, and `__` after each word,
which makes it long and rare enough for InnoDB and is ignored by SQLite. A search is for
beginnings of words, so it needs no `__`.
"""

from __future__ import annotations

import unicodedata

from sqlalchemy import ColumnElement, column, false, select, table
from sqlalchemy.dialects.mysql import match

from webapp.bank.deduplication import CharacterTable, letters_and_digits
from webapp.bank.models import Item

MAX_WORDS = 12
"""Words of a query that are searched for; the others are ignored."""
MAX_WORD_LENGTH = 60
"""Characters of a word that are compared; InnoDB indexes no word of more than 84."""
MAX_INDEX_LENGTH = 16_000
"""MySQL's TEXT holds 65,535 bytes, and compatibility forms can be eighteen times as long."""
LAST_LETTER = "\uffff"
"""MySQL does not know which of the characters after it are letters."""

_without_marks = CharacterTable(
    lambda char: char if char <= LAST_LETTER and unicodedata.category(char)[0] != "M" else ""
)
_item_words = table("item_words", column("rowid"), column("item_words"))


def split_words(text: str) -> list[str]:
    """Return the different words of a text, in order, in the form in which they are compared."""
    normal = letters_and_digits(text)
    if not normal.isascii():
        normal = unicodedata.normalize("NFC", unicodedata.normalize("NFKD", normal).translate(_without_marks))
    return list(dict.fromkeys([word[:MAX_WORD_LENGTH] for word in normal.split()]))


def indexed_words(stem: str) -> str:
    """Return the words of a stem as the database indexes them."""
    text = " ".join([f"{word}__" for word in split_words(stem)])
    return text if len(text) <= MAX_INDEX_LENGTH else text[:MAX_INDEX_LENGTH].rpartition(" ")[0]


def stem_has_words(dialect: str, query: str) -> ColumnElement[bool]:
    """Return the condition that the stem has, for every word of the query, a word that begins with it."""
    words = split_words(query)[:MAX_WORDS]
    if not words:
        return false()
    if dialect == "sqlite":
        pattern = " ".join(f'"{word}"*' for word in words)
        return Item.id.in_(select(_item_words.c.rowid).where(_item_words.c.item_words.match(pattern)))
    return match(Item.__table__.c.words, against=" ".join(f"+{word}*" for word in words), in_boolean_mode=True)
