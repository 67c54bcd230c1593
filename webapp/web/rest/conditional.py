"""Conditional requests (RFC 9110): ETags from version numbers, If-Match for changes."""

from __future__ import annotations

from flask import request
from werkzeug.http import parse_etags

from webapp.errors import VersionMismatchError, VersionRequiredError
from webapp.web.validators import is_decimal

MAX_VERSION_DIGITS = 9
"""No version of ours has more."""


def etag(version: int) -> dict[str, str]:
    """Return the ETag header of a resource at this version."""
    return {"ETag": f'"{version}"'}


def expected_version() -> int:
    """Return the version that If-Match names.

    Raises:
        VersionRequiredError: when there is no If-Match, or only `*`.
        VersionMismatchError: when it cannot be a version of ours.
    """
    tags = parse_etags(request.headers.get("If-Match"))
    versions = tags.as_set()
    if not versions:
        raise VersionRequiredError("Send If-Match with the ETag of the version that you read.")
    # werkzeug reads an empty tag as None.
    version = versions.pop() or ""
    if versions or not is_decimal(version, MAX_VERSION_DIGITS):
        raise VersionMismatchError("If-Match does not name the present version; read it again.")
    return int(version)
