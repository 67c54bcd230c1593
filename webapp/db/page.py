"""Lists in pages: some rows, and the id after which the next page begins."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Row = TypeVar("Row")


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Some rows and, when there are more, the id after which to continue in the order of the list."""

    rows: Sequence[Row]
    next_after: int | None

    @property
    def cursor(self) -> str | None:
        """The cursor of the page after this one."""
        return None if self.next_after is None else encode_cursor(self.next_after)


def page_of(rows: Sequence[Row], limit: int, row_id: Callable[[Row], int]) -> Page[Row]:
    """Return a page of at most `limit` rows from a query that was asked for one row more than that."""
    return Page(rows[:limit], row_id(rows[limit - 1]) if len(rows) > limit else None)


def encode_cursor(after: int) -> str:
    """Return the opaque cursor of the page that begins after this id."""
    return base64.urlsafe_b64encode(str(after).encode()).decode().rstrip("=")
