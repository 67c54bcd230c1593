"""What surrounds every request: its id, its one log line, and teardown functions that all run."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import structlog
from flask import Flask, Response, g, request
from flask.sessions import SecureCookieSessionInterface, SessionMixin

from poolproof.integrations.flask_ext import get_pooling, name_request
from webapp.web.path_prefix import with_prefix

log = structlog.get_logger("poolproof.request")

KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
"""All other methods are counted as `_OTHER`: a client could send any number of names."""
SESSIONLESS_PREFIXES = ("/api/", "/files/", "/static/")
REQUEST_ID_PATTERN = re.compile(r"[A-Za-z0-9._-]{8,64}")


class PoolproofFlask(Flask):
    """A Flask in which one teardown function that raises does not keep the others from running.

    Flask stops at the first that raises, and the connection of an extension registered
    earlier would never return to its pool. All views and hooks are plain functions.
    """

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as it is: none is async here, and Flask would check every hook at every request."""
        return func

    def log_exception(self, exc_info: Any) -> None:
        """Log an unhandled error with the rule of its route, not with the path, which may hold an attempt's token."""
        rule = request.url_rule.rule if request.url_rule else "no route"
        self.logger.error("Exception on %s [%s]", rule, request.method, exc_info=exc_info)

    def do_teardown_appcontext(self, exc: BaseException | None = None) -> None:
        """Run every teardown function; an exception is logged, and the response is sent all the same."""
        for function in reversed(self.teardown_appcontext_funcs):
            try:
                function(exc)
            except Exception:
                logging.getLogger(__name__).exception("A teardown function raised: %s", function)


class PageSessionInterface(SecureCookieSessionInterface):
    """Sessions for pages only: REST responses and files have none, so they do not vary with cookies."""

    def get_cookie_path(self, app: Flask) -> str:
        """Return the path prefix: another service of the same host gets no cookie of ours."""
        return with_prefix("") or super().get_cookie_path(app)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Save the session of a page."""
        if session.modified or not request.path.startswith(SESSIONLESS_PREFIXES):
            super().save_session(app, session, response)


def init_app(app: Flask) -> None:
    """Give every request an id, and log one line when it is finished."""
    app.session_interface = PageSessionInterface()
    app.before_request(_start_request)
    app.after_request(_finish_request)


def request_id() -> str:
    """Return the id of the current request, as its client sees it in X-Request-ID."""
    value: str = g.get("request_id", "-")
    return value


def _start_request() -> None:
    client_id = request.headers.get("X-Request-ID", "")
    g.request_id = client_id if REQUEST_ID_PATTERN.fullmatch(client_id) else uuid.uuid4().hex
    g.started_at = time.monotonic()
    name_request(g.request_id)
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _finish_request(response: Response) -> Response:
    response.headers["X-Request-ID"] = request_id()
    seconds = time.monotonic() - g.started_at if "started_at" in g else 0.0
    # The rule and never the path: an attempt's token is a secret.
    rule = request.url_rule.rule if request.url_rule else None
    fields: dict[str, Any] = {
        "method": request.method,
        "route": rule,
        "status": response.status_code,
        "seconds": round(seconds, 4),
    }
    method = request.method if request.method in KNOWN_METHODS else "_OTHER"
    get_pooling().requests.record_response(method, rule or "unmatched", response.status_code, seconds)
    if request.endpoint not in {"static", "files.file"}:
        log.info("request", **fields)
    return response
