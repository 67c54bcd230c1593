"""Forms of players, kept from other sites without a token of their own: a page that all share can be kept."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import request

from webapp.errors import ForbiddenError

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


def require_same_origin() -> None:
    """Refuse what another site's page makes a browser send; for `before_request`.

    Browsers say where a request comes from, in Sec-Fetch-Site (W3C Fetch Metadata) or in
    Origin; no page can change that. What says neither is no browser, and carries nobody's
    cookies but its own. (So does Go's net/http.CrossOriginProtection.)

    Raises:
        ForbiddenError: when it does not come from a page of ours.
    """
    if request.method in SAFE_METHODS:
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is None:
        ours = origin is None or urlsplit(origin).netloc == request.host
    else:
        ours = site in {"same-origin", "none"}
    if not ours:
        raise ForbiddenError("This form was sent by a page of another site. Open the quiz here and try again.")
