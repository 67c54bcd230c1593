"""The results of a parser: accepted and rejected records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from webapp.bank.item_draft import TEXT_FIELDS, ItemDraft, find_errors, trim_draft


class ByteStream(Protocol):
    """The binary stream that a parser reads."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes."""

    def readline(self, size: int, /) -> bytes:
        """Return a line, or the first `size` bytes of it."""


@dataclass(frozen=True)
class Accepted:
    """A valid item; `repaired` when some of its bytes had to be repaired.

    `line` is where its record begins; in a list, its position counted from 1. `item_id` names the item of the bank
    that the record changes, where a format can name one.
    """

    line: int
    draft: ItemDraft
    repaired: bool = False
    item_id: int | None = None


@dataclass(frozen=True)
class Rejected:
    """A record that cannot be an item, and the reason."""

    line: int
    reason: str


Record = Accepted | Rejected

UnsupportedCallback = Callable[[ItemDraft, str], None]
"""Called, while a format is written, with an item that it cannot hold, and the reason."""


class UnreadableError(Exception):
    """The file as a whole is not of the format; the text says why."""


def validate_record(line: int, draft: ItemDraft, *, repaired: bool = False, item_id: int | None = None) -> Record:
    """Accept a draft if it is a valid item, reject it with all its errors if not."""
    draft = trim_draft(draft)
    if errors := find_errors(draft):
        return Rejected(line, " ".join(f"{field}: {reason}" for field, reason in errors))
    return Accepted(line, draft, repaired, item_id)


def normalize_line_breaks(draft: ItemDraft) -> ItemDraft:
    """Return the draft with LF for every line break; text formats cannot tell CRLF and CR from it."""
    texts: dict[str, Any] = {
        name: _normalize(value) for name in TEXT_FIELDS if (value := getattr(draft, name)) is not None
    }
    return replace(draft, choices=tuple(map(_normalize, draft.choices)), **texts)


def _normalize(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
