"""Names of files that a browser saves (RFC 6266)."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

_NOT_IN_NAMES = re.compile(r'[\x00-\x20\x7f/\\:*?"<>|%]+')
_ATTRIBUTE_CHARACTERS = "!#$&+-.^_`|~"
"""Beside letters and digits, what RFC 8187 lets stand unencoded."""
MAX_LENGTH = 150


def content_disposition(name: str) -> str:
    """Return the header of a response that is saved under this name.

    A name that is not ASCII is given in both forms: encoded, and without its accents and other letters for old clients.
    """
    stem, dot, suffix = name.rpartition(".")
    safe = _NOT_IN_NAMES.sub(" ", stem).strip(" .")[:MAX_LENGTH]
    plain = unicodedata.normalize("NFKD", safe).encode("ascii", "ignore").decode().strip(" .")
    safe, plain = ((text or "file") + dot + suffix for text in (safe, plain))
    header = f'attachment; filename="{plain}"'
    if plain == safe:
        return header
    return f"{header}; filename*=UTF-8''{quote(safe, safe=_ATTRIBUTE_CHARACTERS)}"
