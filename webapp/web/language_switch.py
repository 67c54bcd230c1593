"""The switch of the language at the foot of each page: it sets a cookie and returns to the page."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import unquote, urlsplit

from flask import Blueprint, current_app, redirect, request
from werkzeug.wrappers import Response

from webapp.errors import InvalidInputError
from webapp.web.cookies import set_cookie
from webapp.web.languages import COOKIE, LANGUAGES
from webapp.web.path_prefix import with_prefix
from webapp.web.security.fetch_metadata import require_same_origin

blueprint = Blueprint("language", __name__)
blueprint.before_request(require_same_origin)

COOKIE_MAX_AGE = timedelta(days=365)


@blueprint.post("/language")
def choose() -> Response:
    """Show pages in the language of the pressed button from now on, and return to the page it was pressed on.

    Raises:
        InvalidInputError: when there is no such language.
    """
    language = request.form.get("language", "")
    if language not in LANGUAGES:
        raise InvalidInputError("There is no such language here.")
    response = redirect(with_prefix(_page_of_ours(request.args.get("next", ""))), 303)
    set_cookie(response, COOKIE, language, COOKIE_MAX_AGE, with_prefix("/"))
    return response


def _page_of_ours(path: str) -> str:
    """Return the path, with the query that the page had, if it leads to a page of this app; "/" otherwise.

    Its address names the path only, since a page may be kept for all readers; the query is taken from the Referer.
    """
    adapter = current_app.create_url_adapter(request)
    if not path.startswith("/") or adapter is None or not adapter.test(path, method="GET"):
        return "/"
    # Two slashes at the beginning would name a host.
    path = f"/{path.lstrip('/')}"
    referrer = urlsplit(request.headers.get("Referer", ""))
    is_same_page = referrer.netloc == request.host and unquote(referrer.path) == with_prefix(path)
    return f"{path}?{referrer.query}" if is_same_page and referrer.query else path
