"""Lists in pages over HTTP: an opaque cursor, and `Link: rel="next"` (RFC 8288)."""

from __future__ import annotations

import base64
import binascii
from typing import Protocol
from urllib.parse import urlencode

from flask import request

from webapp.db.page import encode_cursor
from webapp.errors import InvalidInputError
from webapp.web.path_prefix import with_prefix

MAX_ID = 2**63 - 1


def decode_cursor(cursor: str | None) -> int | None:
    """Return the id in a cursor.

    Raises:
        InvalidInputError: for anything that `encode_cursor` did not make.
    """
    if cursor is None:
        return None
    try:
        after = int(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii"))
    except (ValueError, binascii.Error):
        after = -1
    if not 0 <= after <= MAX_ID or encode_cursor(after) != cursor:
        raise InvalidInputError("cursor is not valid; leave it out to begin at the start.")
    return after


class HasCursor(Protocol):
    """A page of a list."""

    @property
    def cursor(self) -> str | None:
        """The cursor of the page after it; None at the end."""


def next_link_header(page: HasCursor) -> dict[str, str]:
    """Return the Link header for the page after this one, or no header at the end."""
    if page.cursor is None:
        return {}
    query = [(name, value) for name, value in request.args.items(multi=True) if name != "cursor"]
    query.append(("cursor", page.cursor))
    return {"Link": f'<{with_prefix(request.path)}?{urlencode(query)}>; rel="next"'}
