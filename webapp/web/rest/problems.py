"""Error responses: RFC 9457 problem+json under /api, pages elsewhere.

Registered problem types: IANA "HTTP Problem Types"; `temporary-reduced-capacity` is one of them.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Flask, Response, jsonify, render_template, request
from gunicorn.http.errors import ParseException
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import BadRequest, HTTPException, InternalServerError
from werkzeug.wrappers import Response as WerkzeugResponse

from poolproof.drivers.errors import TransientCause, transient_cause
from poolproof.errors import ThreadShareFullError
from poolproof.transactions.outcomes import WriteOutcome
from webapp.errors import BusyError, CodedBodyError, DomainError, QuotaExceededError, list_error_types
from webapp.messages import join_messages, message
from webapp.web import form_retry
from webapp.web.languages import page_language, translate
from webapp.web.path_prefix import with_prefix
from webapp.web.request_context import request_id
from webapp.web.rest import repeating
from webapp.web.write_probe import CANNOT_STORE

log = logging.getLogger(__name__)

IANA_REGISTERED_KINDS = {BusyError.kind, QuotaExceededError.kind}
IANA_TYPE_PREFIX = "https://iana.org/assignments/http-problem-types#"

SAFE_METHODS = {"GET", "HEAD"}
LONG_WORK_REFUSED = message(
    "As many requests that take long (imports, exports, large files, waits for a paused part of the service) as may "
    "run at once are under way."
)


blueprint = Blueprint("problems", __name__)


@blueprint.get("/problems")
def explained() -> str:
    """Explain every problem type of our own; the URIs of these types lead here."""
    return render_template("web/problems.html", kinds=list_error_types())


def init_app(app: Flask) -> None:
    """Answer every exception with a problem or a page."""
    app.register_error_handler(DomainError, _domain_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(ParseException, _malformed_body)
    app.register_error_handler(PoolTimeoutError, _pool_timeout_error)
    app.register_error_handler(DBAPIError, _database_error)


def problem_type_uri(kind: str) -> str:
    """Return the problem type's URI: registered with IANA, or explained on our own page."""
    return IANA_TYPE_PREFIX + kind if kind in IANA_REGISTERED_KINDS else with_prefix(f"/problems#{kind}")


def _domain_error(error: DomainError) -> WerkzeugResponse:
    if isinstance(error, BusyError):
        return _busy_error(error)
    response = _error_response(
        error.status,
        problem_type_uri(error.kind),
        error.title,
        error.detail,
        error.extra,
        retry_after=getattr(error, "retry_after", None),
    )
    if error.status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, CodedBodyError):
        # RFC 9110, 15.5.16: what would have been taken.
        response.headers["Accept-Encoding"] = "identity"
    return response


def _busy_error(error: BusyError) -> WerkzeugResponse:
    outcome = error.outcome or repeating.known_outcome()
    detail = error.detail if error.has_advice else join_messages(error.detail, repeating.advice(outcome))
    # A whole number of seconds, random, so that clients do not all return at once.
    wait = random.randint(1, 4)  # noqa: S311
    extra = {**error.extra, "outcome": str(outcome)}
    return _error_response(error.status, problem_type_uri(error.kind), error.title, detail, extra, retry_after=wait)


def _http_error(error: HTTPException) -> WerkzeugResponse:
    status = error.code or InternalServerError.code
    if status < HTTPStatus.BAD_REQUEST:
        return error.get_response()
    data: dict[str, Any] = getattr(error, "data", {})
    extra = {"errors": list(_flatten_messages(data["messages"]))} if "messages" in data else {}
    detail = "See errors." if extra else error.description or error.name
    response = _error_response(status, "about:blank", error.name, detail, extra)
    for name, value in error.get_headers():
        if name.lower() in {"allow", "retry-after", "www-authenticate"}:
            response.headers[name] = value
    return response


def _malformed_body(error: ParseException) -> WerkzeugResponse:
    """Answer Gunicorn's error of a body in chunks that are none; it raises it where the body is read."""
    return _http_error(BadRequest("The body of the request is not in chunks as HTTP describes them."))


def _pool_timeout_error(error: PoolTimeoutError) -> WerkzeugResponse:
    if isinstance(error, ThreadShareFullError):
        log.warning("Too much long work at once: %s", error)
        return _domain_error(BusyError(LONG_WORK_REFUSED))
    log.warning("No connection in time: %s", error)
    return _domain_error(_busy_or_unavailable(message("All database connections are in use.")))


def _database_error(error: DBAPIError) -> WerkzeugResponse:
    cause = transient_cause(error)
    if cause is not None:
        log.warning("The database did not serve the request: %s", error.orig)
        reason = (
            CANNOT_STORE if cause is TransientCause.STORAGE else message("The database cannot be reached just now.")
        )
        return _domain_error(_busy_or_unavailable(reason))
    log.error("The database refused a statement", exc_info=error)
    return _http_error(InternalServerError(original_exception=error))


def _busy_or_unavailable(reason: str) -> BusyError:
    """Return an error with this reason; to the reader of a page it would say nothing."""
    if request.method in SAFE_METHODS and not _wants_problem_json():
        return BusyError("This page cannot be shown just now.", "Try again in a moment.")
    return BusyError(reason)


def _flatten_messages(messages: Any, path: str = "") -> Iterator[dict[str, str]]:
    """Yield `{"where": "json.choices.0", "reason": …}` from webargs's nested dict."""
    if isinstance(messages, dict):
        for key, value in messages.items():
            yield from _flatten_messages(value, f"{path}.{key}" if path else str(key))
    else:
        reasons = messages if isinstance(messages, list) else [messages]
        yield from ({"where": path, "reason": str(reason)} for reason in reasons)


def _error_response(
    status: int, type_uri: str, title: str, detail: str, extra: dict[str, Any], *, retry_after: int | None = None
) -> WerkzeugResponse:
    title, detail = translate(title), translate(detail)
    if _wants_problem_json():
        response = _problem_json(status, type_uri, title, detail, extra)
    else:
        response = _error_page(
            status, title, detail, retry_after, WriteOutcome(extra.get("outcome", WriteOutcome.NOT_DONE))
        )
    if retry_after is not None:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _error_page(
    status: int, title: str, detail: str, retry_after: int | None, outcome: WriteOutcome
) -> WerkzeugResponse:
    if retry_after is None:
        return Response(render_template("web/problem.html", status=status, title=title, detail=detail), status)
    retained_form = form_retry.get_retained_form()
    page = render_template(
        "web/busy.html",
        status=status,
        title=title,
        detail=detail,
        retry_after=retry_after,
        retained_form=retained_form,
        may_repeat=repeating.may_repeat(outcome),
    )
    return Response(page, status)


def _problem_json(status: int, type_uri: str, title: str, detail: str, extra: dict[str, Any]) -> WerkzeugResponse:
    body = {
        "type": type_uri,
        "title": title,
        "status": status,
        "detail": detail,
        "instance": f"urn:request:{request_id()}",
        **extra,
    }
    response = jsonify(body)
    response.status_code = status
    response.mimetype = "application/problem+json"
    response.content_language.add(page_language())
    return response


def _wants_problem_json() -> bool:
    return request.path.startswith("/api/") or request.path in {"/healthz", "/readyz"}
