"""Conditional requests (RFC 9110): ETags from version numbers, If-Match for changes.

If-Match asks for strong comparison, and this is a stated exception from it: a weak tag is taken as well. A proxy that
compresses a response, as nginx does, makes its ETag a weak one, and a client has no other to send. A tag of ours is the
number of a version and not of its bytes: in whatever form it was sent, what a change is based on is that version.
Responses also ask proxies, with `no-transform`, to leave them as they are.
"""

from __future__ import annotations

from flask import request
from werkzeug.http import parse_etags

from webapp.errors import VersionMismatchError, VersionRequiredError
from webapp.messages import join_messages, message
from webapp.web.validators import is_decimal

MAX_VERSION_DIGITS = 9
"""No version of ours has more."""


def etag(version: int) -> dict[str, str]:
    """Return the headers of a resource at this version: its ETag, which no proxy should change."""
    return {"ETag": f'"{version}"', "Cache-Control": "no-store, no-transform"}


def expected_version() -> int:
    """Return the version that If-Match names.

    Raises:
        VersionRequiredError: when there is no If-Match, or only `*`.
        VersionMismatchError: when it cannot be a version of ours.
    """
    header = request.headers.get("If-Match", "").strip()
    if header in {"", "*"}:
        named = message("If-Match: * names no version.") if header else ""
        raise VersionRequiredError(
            join_messages(named, message("Send If-Match with the ETag of the version that you read."))
        )
    versions = parse_etags(header).as_set(include_weak=True)
    if not versions:
        raise VersionMismatchError("If-Match is no ETag of ours; read it again.")
    # werkzeug reads an empty tag as None.
    version = versions.pop() or ""
    if versions or not is_decimal(version, MAX_VERSION_DIGITS):
        raise VersionMismatchError("If-Match does not name the present version; read it again.")
    return int(version)
