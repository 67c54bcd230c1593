"""The fast routes of a push: open, start, answer, finish, leaderboard. Each answers plain requests that succeed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, TypeGuard
from wsgiref.types import WSGIEnvironment

from sqlalchemy.exc import DBAPIError

from poolproof.errors import PoolTimeoutError
from poolproof.transactions.outcomes import WriteOutcome
from webapp.attempts import scoring, serializers, tokens
from webapp.attempts.answer_store import AttemptState
from webapp.attempts.answer_writer import REPEAT
from webapp.attempts.entry_batch import Entry
from webapp.attempts.leaderboard_cache import Leaderboard
from webapp.attempts.models import MAX_NAME_LENGTH
from webapp.attempts.page_cache import CACHE_HEADERS, PageCache, get_page_cache, is_cacheable
from webapp.attempts.schemas import (
    ANONYMOUS,
    DEFAULT_PLACES,
    MAX_CHOICES,
    MAX_PLAYER_TOKEN_LENGTH,
    MAX_SEQUENCE,
)
from webapp.attempts.service import AttemptService, get_attempt_service
from webapp.errors import BusyError
from webapp.quizzes.published import QuizId, Slug
from webapp.web.fast_path.request_body import read_json_body
from webapp.web.fast_path.routes import JSON_MEDIA_TYPE, FastRoute, PendingResponse, RawResponse, ResponseCallback
from webapp.web.json_bounds import load_json
from webapp.web.security import security_headers
from webapp.web.validators import is_id, is_storable, is_visible

INLINE_PREFIX = b"PUT /api/v1/attempts/"
"""Requests that begin so are short enough for Gunicorn's main loop to handle them inline."""
OK, CREATED, NOT_MODIFIED = "200 OK", "201 CREATED", "304 NOT MODIFIED"
MAX_CACHED = 200

Handler = Callable[..., RawResponse | PendingResponse | None]

_JSON_HEADERS = (("Content-Type", JSON_MEDIA_TYPE), *security_headers.API_HEADERS, security_headers.NO_STORE)
_PAGE_HEADERS = (("Content-Type", "text/html; charset=utf-8"), *security_headers.PAGE_HEADERS, *CACHE_HEADERS)


def build_fast_routes(app: Any) -> list[FastRoute]:
    """Return the fast routes of this Flask app."""

    def with_service(handler: Handler) -> Handler:
        return lambda environ, *parameters, **options: handler(
            get_attempt_service(app), environ, *parameters, **options
        )

    leaderboards = _EncodedLeaderboards()
    return [
        FastRoute("GET", "/quizzes/<slug>", with_service(partial(_open, get_page_cache(app)))),
        FastRoute("POST", "/api/v1/quizzes/<id:quiz_id>/attempts", with_service(_start)),
        FastRoute("PUT", "/api/v1/attempts/<token>/answers/<id:item_id>", with_service(_answer)),
        FastRoute("POST", "/api/v1/attempts/<token>/finish", with_service(_finish)),
        FastRoute("GET", "/api/v1/quizzes/<id:quiz_id>/leaderboard", with_service(leaderboards.respond)),
    ]


def _open(page_cache: PageCache, service: AttemptService, environ: WSGIEnvironment, slug: str) -> RawResponse | None:
    if environ.get("QUERY_STRING") or not is_cacheable(environ.get("HTTP_COOKIE", "")):
        return None
    page = page_cache.get(service.quiz_cache.current(Slug(slug)), environ.get("SCRIPT_NAME", ""))
    if page is None:
        return None
    headers = (*_PAGE_HEADERS, ("ETag", page.etag))
    # By weak comparison, of a list too (RFC 9110): a proxy that compresses the page makes its ETag a weak one.
    if page.etag in environ.get("HTTP_IF_NONE_MATCH", ""):
        return RawResponse(NOT_MODIFIED, headers, b"")
    return RawResponse(OK, headers, page.body)


def _start(service: AttemptService, environ: WSGIEnvironment, quiz_id: str) -> RawResponse | None:
    body = _parse_json(environ)
    if body is None or not is_id(quiz_id) or not body.keys() <= {"name", "player"}:
        return None
    name, player_token = body.get("name", ANONYMOUS), body.get("player")
    if not _is_plain_name(name) or not _is_plain_token(player_token):
        return None
    player, quiz = tokens.verify_player_token(player_token, service.signing_key), QuizId(int(quiz_id))
    if service.has_started(quiz, player):
        return None
    started = service.start(quiz, name.strip(), player)
    location = f"{environ.get('SCRIPT_NAME', '')}/api/v1/attempts/{started.token}"
    headers = (*_JSON_HEADERS, ("Location", location))
    return RawResponse(CREATED, headers, _dump_json(serializers.dump_started(started)))


def _is_plain_name(name: object) -> TypeGuard[str]:
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_LENGTH:
        return False
    return name.isprintable() and is_visible(name) and is_storable(name)


def _is_plain_token(token: object) -> TypeGuard[str | None]:
    if token is None:
        return True
    return isinstance(token, str) and len(token) <= MAX_PLAYER_TOKEN_LENGTH and token.isascii() and token.isprintable()


def _answer(
    service: AttemptService, environ: WSGIEnvironment, token: str, item_id: str, *, inline: bool = False
) -> PendingResponse | None:
    # Peeked at once: by a second time it may have expired, and the main loop would wait for the database.
    version = service.peek_version(token) if inline else None
    if inline and version is None:
        return None
    body = _parse_json(environ)
    if body is None or not is_id(item_id) or not _is_answer(body):
        return None
    item = int(item_id)
    entry = service.prepare_answer(token, item, body["choices"], body.get("sequence"), version)
    stored = serializers.dump_answer(item, scoring.as_positions(entry.chosen[item]))
    response = RawResponse(OK, _JSON_HEADERS, _dump_json(stored))
    return _after_commit(service, entry, lambda _: response)


def _is_answer(body: dict[str, Any]) -> bool:
    if not {"choices"} <= body.keys() <= {"choices", "sequence"} or not _are_choices(body["choices"]):
        return False
    sequence = body.get("sequence")
    return sequence is None or (type(sequence) is int and 0 <= sequence <= MAX_SEQUENCE)


def _are_choices(value: object) -> TypeGuard[list[int]]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_CHOICES:
        return False
    # Exactly int: JSON's true and false are instances of int, too.
    return all(type(choice) is int and 0 <= choice < MAX_CHOICES for choice in value)


def _finish(service: AttemptService, environ: WSGIEnvironment, token: str) -> PendingResponse | None:
    if environ.get("CONTENT_LENGTH") not in {None, "", "0"}:
        return None
    entry = service.prepare_finish(token)

    def make_response(state: AttemptState | None) -> RawResponse:
        assert state is not None  # noqa: S101 - a finish has one
        view = service.finished_view(entry.claim, state)
        return RawResponse(OK, _JSON_HEADERS, _dump_json(serializers.dump_attempt(view)))

    # The leaderboard, for the rank, may have to be read.
    return _after_commit(service, entry, make_response, in_thread=True)


def _after_commit(
    service: AttemptService,
    entry: Entry,
    make_response: Callable[[AttemptState | None], RawResponse],
    *,
    in_thread: bool = False,
) -> PendingResponse:
    def respond(state: AttemptState | None) -> RawResponse:
        try:
            return make_response(state)
        except (PoolTimeoutError, DBAPIError) as error:
            # Flask, which answers errors, does not know that anything was committed.
            raise BusyError("It is stored, but cannot be shown just now.", REPEAT, WriteOutcome.PARTLY_DONE) from error

    def add_done_callback(callback: ResponseCallback) -> None:
        service.writer.write_async(entry, lambda state, error: callback(partial(respond, state), error))

    return PendingResponse(lambda: respond(service.writer.write(entry)), add_done_callback, in_thread=in_thread)


class _EncodedLeaderboards:
    """The latest leaderboard of each quiz as encoded JSON; encoded again when there is a new one."""

    def __init__(self) -> None:
        self._encoded: dict[int, tuple[Leaderboard, bytes]] = {}

    def respond(self, service: AttemptService, environ: WSGIEnvironment, quiz_id: str) -> RawResponse | None:
        if environ.get("QUERY_STRING") or not is_id(quiz_id):
            return None
        number = int(quiz_id)
        version, leaderboard = service.leaderboard(QuizId(number))
        encoded = self._encoded.get(number)
        if encoded is None or encoded[0] is not leaderboard:
            body = serializers.dump_leaderboard(number, version, leaderboard, DEFAULT_PLACES)
            encoded = leaderboard, _dump_json(body)
            if len(self._encoded) >= MAX_CACHED:
                self._encoded = {}
            self._encoded[number] = encoded
        return RawResponse(OK, _JSON_HEADERS, encoded[1])


def _parse_json(environ: WSGIEnvironment) -> dict[str, Any] | None:
    body = read_json_body(environ)
    try:
        value = load_json(body.decode()) if body is not None else None
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _dump_json(body: dict[str, Any]) -> bytes:
    return _encode(body).encode() + b"\n"


def _json_default(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} cannot be encoded as JSON")


# In the format of Flask's jsonify.
_encode = json.JSONEncoder(default=_json_default, sort_keys=True, separators=(",", ":")).encode
