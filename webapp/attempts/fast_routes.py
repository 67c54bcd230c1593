"""The fast routes of a push: how a plain request reaches its operation without Flask."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from webapp.attempts import operations
from webapp.attempts.operations import EncodedLeaderboards, get_leaderboards
from webapp.attempts.page_cache import PageCache, PageVariant, get_page_cache, is_cacheable
from webapp.attempts.schemas import AnswerIn, StartIn
from webapp.attempts.service import AttemptService, get_attempt_service
from webapp.quizzes.published import Slug
from webapp.web import languages
from webapp.web.fast_path.routes import JSON_MEDIA_TYPE, FastRoute, PendingResponse, PlainRequest, RawResponse
from webapp.web.rest.strict_schema import InvalidBodyError, StrictSchema

Handler = Callable[..., RawResponse | PendingResponse | None]

MAX_BODY_BYTES = 1000
"""What a player sends is far smaller."""
_START, _ANSWER = StartIn(), AnswerIn()
_is_length = re.compile("[0-9]{1,4}").fullmatch


def build_fast_routes(app: Any) -> list[FastRoute]:
    """Return the fast routes of this Flask app."""

    def with_service(handler: Handler) -> Handler:
        return lambda request, *parameters: handler(get_attempt_service(app), request, *parameters)

    return [
        FastRoute("GET", "/quizzes/<slug>", with_service(partial(_open, get_page_cache(app)))),
        FastRoute("POST", "/api/v1/quizzes/<id:quiz_id>/attempts", with_service(_start)),
        FastRoute("PUT", "/api/v1/attempts/<token>/answers/<id:item_id>", with_service(_answer)),
        FastRoute("POST", "/api/v1/attempts/<token>/finish", with_service(_finish)),
        FastRoute(
            "GET",
            "/api/v1/quizzes/<id:quiz_id>/leaderboard",
            with_service(partial(_read_leaderboard, get_leaderboards(app))),
        ),
    ]


def _read_json(schema: StrictSchema, request: PlainRequest) -> dict[str, Any] | None:
    """Return a small JSON body; None when it is something else or against the rules, which Flask then explains."""
    fields = request.fields
    length = fields.get("CONTENT-LENGTH", "")
    if fields.get("CONTENT-TYPE") != JSON_MEDIA_TYPE or not _is_length(length) or int(length) > MAX_BODY_BYTES:
        return None
    try:
        body: dict[str, Any] = schema.validator.validate_json(request.read_body())
    except InvalidBodyError:
        return None
    return body


def _open(page_cache: PageCache, service: AttemptService, request: PlainRequest, slug: str) -> RawResponse | None:
    fields = request.fields
    cookies = fields.get("COOKIE", "")
    if request.query or not is_cacheable(cookies):
        return None
    version = service.quiz_cache.current(Slug(slug))
    variant = PageVariant(request.prefix, languages.negotiate(cookies, fields.get("ACCEPT-LANGUAGE", "")))
    return operations.open_quiz(page_cache, version, variant, fields.get("IF-NONE-MATCH", ""))


def _start(service: AttemptService, request: PlainRequest, quiz_id: str) -> RawResponse | None:
    body = _read_json(_START, request)
    return None if body is None else operations.start(service, int(quiz_id), body, request.prefix)


def _answer(service: AttemptService, request: PlainRequest, token: str, item_id: str) -> PendingResponse | None:
    body = _read_json(_ANSWER, request)
    return None if body is None else operations.answer(service, service.find(token), int(item_id), body)


def _finish(service: AttemptService, request: PlainRequest, token: str) -> PendingResponse | None:
    if request.fields.get("CONTENT-LENGTH", "0") != "0":
        return None
    return operations.finish(service, service.find(token))


def _read_leaderboard(
    leaderboards: EncodedLeaderboards, service: AttemptService, request: PlainRequest, quiz_id: str
) -> RawResponse | None:
    if request.query:
        return None
    return leaderboards.read(service, int(quiz_id))
