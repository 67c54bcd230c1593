"""Lists in pages: an opaque cursor, and `Link: rel="next"` (RFC 8288)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import urlencode

from flask import request

from webapp.errors import InvalidInputError

Row = TypeVar("Row")

MAX_ID = 2**63 - 1


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Some rows and, when there are more, the id after which to go on."""

    rows: Sequence[Row]
    next_after: int | None

    @property
    def cursor(self) -> str | None:
        """The cursor of the page after this one."""
        return None if self.next_after is None else encode_cursor(self.next_after)


def encode_cursor(after: int) -> str:
    """Return the cursor that goes on after this id."""
    return base64.urlsafe_b64encode(str(after).encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None) -> int | None:
    """Return the id in a cursor.

    Raises:
        InvalidInputError: for anything that `encode` did not make.
    """
    if cursor is None:
        return None
    try:
        after = int(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii"))
    except (ValueError, binascii.Error):
        after = -1
    if not 0 <= after <= MAX_ID or encode_cursor(after) != cursor:
        raise InvalidInputError("cursor is not one of ours; leave it out to begin at the start.")
    return after


def next_link_header(page: Page[Row]) -> dict[str, str]:
    """Return the Link header for the page after this one, or no header at the end."""
    if page.next_after is None:
        return {}
    query = [(name, value) for name, value in request.args.items(multi=True) if name != "cursor"]
    query.append(("cursor", encode_cursor(page.next_after)))
    return {"Link": f'<{request.path}?{urlencode(query)}>; rel="next"'}
