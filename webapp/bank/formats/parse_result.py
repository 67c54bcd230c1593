"""What a parser says of each record of a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from webapp.bank.item_draft import ItemDraft, find_errors, trim_draft


class ByteStream(Protocol):
    """What a parser reads: as much at a time as it asks for."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes."""

    def readline(self, size: int, /) -> bytes:
        """Return a line, or the first `size` bytes of it."""


@dataclass(frozen=True)
class Accepted:
    """A good item; `repaired` when bytes of it had to be mended.

    `line` is where its record begins; in a list, its place from 1. `item` is the id of the item of the bank that
    the record says it is, where a format can say so.
    """

    line: int
    draft: ItemDraft
    repaired: bool = False
    item_id: int | None = None


@dataclass(frozen=True)
class Rejected:
    """A record that cannot be an item, and why."""

    line: int
    reason: str


Record = Accepted | Rejected

UnsupportedCallback = Callable[[ItemDraft, str], None]
"""Told, while a format is written, of an item that it cannot hold, and why."""


class UnreadableError(Exception):
    """The file as a whole is not of the format; the text says what was found instead."""


def validate_record(line: int, draft: ItemDraft, *, repaired: bool = False, item_id: int | None = None) -> Record:
    """Accept a draft if it is a good item, reject it with all its faults if not."""
    draft = trim_draft(draft)
    if wrong := find_errors(draft):
        return Rejected(line, " ".join(f"{field}: {reason}" for field, reason in wrong))
    return Accepted(line, draft, repaired, item_id)


def normalize_line_breaks(draft: ItemDraft) -> ItemDraft:
    """Return the draft with LF for every line break; text formats cannot tell CRLF and CR from it."""
    texts: dict[str, Any] = {
        name: _normalize(value) for name in _TEXT_FIELDS if (value := getattr(draft, name)) is not None
    }
    return replace(draft, choices=tuple(map(_normalize, draft.choices)), **texts)


_TEXT_FIELDS = ("stem", "explanation", "category", "source", "licence", "address", "original")


def _normalize(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
