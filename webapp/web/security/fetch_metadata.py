"""Protection of players' forms from other sites without a CSRF token, so that all players can share a cached page."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import request

from webapp.errors import ForbiddenError

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


def require_same_origin() -> None:
    """Refuse requests that another site's page makes a browser send; for `before_request`.

    Browsers send the origin of a request in Sec-Fetch-Site (W3C Fetch Metadata) or in Origin, and no page can change
    them. A client that sends neither is no browser, and has no cookies but its own. Go's
    net/http.CrossOriginProtection works in the same way.

    Raises:
        ForbiddenError: when the request does not come from a page of ours.
    """
    if request.method in SAFE_METHODS:
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is None:
        is_same_origin = origin is None or _host(origin) == request.host
    else:
        is_same_origin = site in {"same-origin", "none"}
    if not is_same_origin:
        raise ForbiddenError("This form was sent by a page of another site. Open the quiz here and try again.")


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        # A bracket that opens no IPv6 address.
        return None
