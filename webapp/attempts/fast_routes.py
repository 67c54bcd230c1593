"""The push's shortcuts: open, start, answer, finish, board, where all is plain and well."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from webapp.attempts import scoring, serializers, tokens
from webapp.attempts.answer_store import AttemptState
from webapp.attempts.answer_writer import Entry
from webapp.attempts.leaderboard_cache import Leaderboard
from webapp.attempts.page_cache import CACHE_HEADERS, PageCache, get_page_cache, is_cacheable
from webapp.attempts.schemas import ANONYMOUS, DEFAULT_PLACES, MAX_CHOICES, MAX_NAME_LENGTH
from webapp.attempts.service import AttemptService, get_attempt_service
from webapp.quizzes.published import QuizId, Slug
from webapp.web.fast_path.middleware import (
    JSON_MEDIA_TYPE,
    Environ,
    FastRoute,
    PendingResponse,
    RawResponse,
    read_json_body,
)
from webapp.web.security import security_headers
from webapp.web.validators import is_storable

INLINE_PREFIX = b"PUT /api/v1/attempts/"
"""How a request begins that is so short that Gunicorn's main loop takes it in passing."""
OK, CREATED, NOT_MODIFIED = "200 OK", "201 CREATED", "304 NOT MODIFIED"
MAX_ID_DIGITS = 18
"""Digits."""
MAX_CACHED = 200
_JSON_HEADERS = (("Content-Type", JSON_MEDIA_TYPE), *security_headers.API_HEADERS, security_headers.NO_STORE)
_PAGE_HEADERS = (("Content-Type", "text/html; charset=utf-8"), *security_headers.PAGE_HEADERS, *CACHE_HEADERS)


def build_fast_routes(app: Any) -> list[FastRoute]:
    """Return what a player does in a push, in this Flask app."""

    def playing(
        answer: Callable[..., RawResponse | PendingResponse | None],
    ) -> Callable[..., RawResponse | PendingResponse | None]:
        return lambda environ, *parts, **how: answer(get_attempt_service(app), environ, *parts, **how)

    boards, pages = _LeaderboardBodies(), get_page_cache(app)
    return [
        FastRoute("GET", "/quizzes/<slug>", playing(partial(_open, pages))),
        FastRoute("POST", "/api/v1/quizzes/<id:quiz_id>/attempts", playing(_start)),
        FastRoute("PUT", "/api/v1/attempts/<token>/answers/<id:item_id>", playing(_answer)),
        FastRoute("POST", "/api/v1/attempts/<token>/finish", playing(_finish)),
        FastRoute("GET", "/api/v1/quizzes/<id:quiz_id>/leaderboard", playing(boards.answer)),
    ]


def _open(page_cache: PageCache, service: AttemptService, environ: Environ, slug: str) -> RawResponse | None:
    if environ.get("QUERY_STRING") or not is_cacheable(environ.get("HTTP_COOKIE", "")):
        return None
    page = page_cache.get(service.quiz_cache.current(Slug(slug)))
    if page is None:
        return None
    headers = (*_PAGE_HEADERS, ("ETag", page.etag))
    if environ.get("HTTP_IF_NONE_MATCH") == page.etag:
        return RawResponse(NOT_MODIFIED, headers, b"")
    return RawResponse(OK, headers, page.body)


def _start(service: AttemptService, environ: Environ, quiz_id: str) -> RawResponse | None:
    given = _parse_json(environ)
    if given is None or not _is_id(quiz_id) or not given.keys() <= {"name", "player"}:
        return None
    name, player = given.get("name", ANONYMOUS), given.get("player")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_LENGTH or not name.isprintable() or not name.strip():
        return None
    if not is_storable(name) or not isinstance(player, str | None):
        return None
    started = service.start(QuizId(int(quiz_id)), name.strip(), tokens.verify_player_token(player, service.signing_key))
    place = ("Location", f"/api/v1/attempts/{started.token}")
    return RawResponse(
        CREATED, (*_JSON_HEADERS, place), _dump_json(serializers.dump_started(started, service.token_ttl))
    )


def _answer(
    service: AttemptService, environ: Environ, token: str, item_id: str, *, inline: bool = False
) -> PendingResponse | None:
    # Looked at once: by a second look it may be too old, and the main loop would wait for the database.
    version = service.peek_version(token) if inline else None
    if inline and version is None:
        return None
    given = _parse_json(environ)
    if given is None or not _is_id(item_id) or given.keys() != {"choices"}:
        return None
    choices = given["choices"]
    if not isinstance(choices, list) or not 0 < len(choices) <= MAX_CHOICES:
        return None
    if not all(type(choice) is int and 0 <= choice < MAX_CHOICES for choice in choices):
        return None
    item = int(item_id)
    entry = service.prepare_answer(token, item, choices, version)
    reply = RawResponse(
        OK, _JSON_HEADERS, _dump_json(serializers.dump_answer(item, scoring.as_positions(entry.chosen[item])))
    )
    return _after_commit(service, entry, lambda _: reply)


def _finish(service: AttemptService, environ: Environ, token: str) -> PendingResponse | None:
    if environ.get("CONTENT_LENGTH") not in {None, "", "0"}:
        return None
    entry = service.prepare_finish(token)

    def reply(progress: AttemptState | None) -> RawResponse:
        assert progress is not None  # noqa: S101 - a finish has one
        return RawResponse(
            OK, _JSON_HEADERS, _dump_json(serializers.dump_attempt(service.finished_view(entry.claim, progress)))
        )

    # Where it stands on the board may have to be read.
    return _after_commit(service, entry, reply, in_thread=True)


def _after_commit(
    service: AttemptService,
    entry: Entry,
    make_response: Callable[[AttemptState | None], RawResponse],
    *,
    in_thread: bool = False,
) -> PendingResponse:
    def later(then: Callable[[Callable[[], RawResponse], BaseException | None], None]) -> None:
        service.writer.write_async(entry, lambda progress, error: then(partial(make_response, progress), error))

    return PendingResponse(lambda: make_response(service.writer.write(entry)), later, in_thread=in_thread)


class _LeaderboardBodies:
    """The boards last shown, as bytes; one a quiz, made anew with its standings."""

    def __init__(self) -> None:
        self._encoded: dict[int, tuple[Leaderboard, bytes]] = {}

    def answer(self, service: AttemptService, environ: Environ, quiz_id: str) -> RawResponse | None:
        if environ.get("QUERY_STRING") or not _is_id(quiz_id):
            return None
        number = int(quiz_id)
        version, standings = service.leaderboard(QuizId(number))
        made = self._encoded.get(number)
        if made is None or made[0] is not standings:
            made = standings, _dump_json(serializers.dump_leaderboard(number, version, standings, DEFAULT_PLACES))
            if len(self._encoded) >= MAX_CACHED:
                self._encoded = {}
            self._encoded[number] = made
        return RawResponse(OK, _JSON_HEADERS, made[1])


def _parse_json(environ: Environ) -> dict[str, Any] | None:
    body = read_json_body(environ)
    try:
        given = json.loads(body) if body is not None else None
    except (ValueError, RecursionError):
        return None
    return given if isinstance(given, dict) else None


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= MAX_ID_DIGITS


def _dump_json(body: dict[str, Any]) -> bytes:
    return _encode(body).encode() + b"\n"


def _json_default(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} has no place in an answer")


# As Flask's jsonify writes it.
_encode = json.JSONEncoder(default=_json_default, sort_keys=True, separators=(",", ":")).encode
