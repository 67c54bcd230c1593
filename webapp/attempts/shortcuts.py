"""The push's shortcuts: open, start, answer, finish, board, where all is plain and well."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from webapp.attempts import bodies, scoring, tokens
from webapp.attempts.answers import Progress
from webapp.attempts.board import Standings
from webapp.attempts.kept_pages import KEPT, KeptPages, is_everybodys, kept_pages_of
from webapp.attempts.playing import Playing, playing_of
from webapp.attempts.schemas import ANONYMOUS, LONGEST_NAME, MOST_CHOICES, PLACES_SHOWN
from webapp.attempts.writer import Entry
from webapp.quizzes.published import QuizId, Slug
from webapp.web import security
from webapp.web.shortcuts import JSON, Awaited, Environ, Reply, Shortcut, body_of
from webapp.web.text import is_storable

IN_PASSING = b"PUT /api/v1/attempts/"
"""How a request begins that is so short that Gunicorn's main loop takes it in passing."""
OK, CREATED, NOT_MODIFIED = "200 OK", "201 CREATED", "304 NOT MODIFIED"
LONGEST_ID = 18
"""Digits."""
MOST_BOARDS = 200
_HEADERS = (("Content-Type", JSON), *security.OF_DATA, security.NOT_KEPT)
_PAGE_HEADERS = (("Content-Type", "text/html; charset=utf-8"), *security.OF_PAGES, *KEPT)


def shortcuts(app: Any) -> list[Shortcut]:
    """Return what a player does in a push, in this Flask app."""

    def playing(answer: Callable[..., Reply | Awaited | None]) -> Callable[..., Reply | Awaited | None]:
        return lambda environ, *parts, **how: answer(playing_of(app), environ, *parts, **how)

    boards, pages = _BoardBodies(), kept_pages_of(app)
    return [
        Shortcut("GET", "/quizzes/<slug>", playing(partial(_open, pages))),
        Shortcut("POST", "/api/v1/quizzes/<id:quiz_id>/attempts", playing(_start)),
        Shortcut("PUT", "/api/v1/attempts/<token>/answers/<id:item_id>", playing(_answer)),
        Shortcut("POST", "/api/v1/attempts/<token>/finish", playing(_finish)),
        Shortcut("GET", "/api/v1/quizzes/<id:quiz_id>/leaderboard", playing(boards.answer)),
    ]


def _open(pages: KeptPages, playing: Playing, environ: Environ, slug: str) -> Reply | None:
    if environ.get("QUERY_STRING") or not is_everybodys(environ.get("HTTP_COOKIE", "")):
        return None
    page = pages.find(playing.shelf.current(Slug(slug)))
    if page is None:
        return None
    headers = (*_PAGE_HEADERS, ("ETag", page.etag))
    if environ.get("HTTP_IF_NONE_MATCH") == page.etag:
        return Reply(NOT_MODIFIED, headers, b"")
    return Reply(OK, headers, page.body)


def _start(playing: Playing, environ: Environ, quiz_id: str) -> Reply | None:
    given = _given(environ)
    if given is None or not _is_id(quiz_id) or not given.keys() <= {"name", "player"}:
        return None
    name, player = given.get("name", ANONYMOUS), given.get("player")
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not name.isprintable() or not name.strip():
        return None
    if not is_storable(name) or not isinstance(player, str | None):
        return None
    started = playing.start(QuizId(int(quiz_id)), name.strip(), tokens.read_player(player, playing.key))
    place = ("Location", f"/api/v1/attempts/{started.token}")
    return Reply(CREATED, (*_HEADERS, place), _json(bodies.started(started, playing.good_for)))


def _answer(
    playing: Playing, environ: Environ, token: str, item_id: str, *, in_passing: bool = False
) -> Awaited | None:
    # Looked at once: by a second look it may be too old, and the main loop would wait for the database.
    version = playing.at_hand(token) if in_passing else None
    if in_passing and version is None:
        return None
    given = _given(environ)
    if given is None or not _is_id(item_id) or given.keys() != {"choices"}:
        return None
    choices = given["choices"]
    if not isinstance(choices, list) or not 0 < len(choices) <= MOST_CHOICES:
        return None
    if not all(type(choice) is int and 0 <= choice < MOST_CHOICES for choice in choices):
        return None
    item = int(item_id)
    entry = playing.to_answer(token, item, choices, version)
    reply = Reply(OK, _HEADERS, _json(bodies.answered(item, scoring.as_positions(entry.chosen[item]))))
    return _when_stored(playing, entry, lambda _: reply)


def _finish(playing: Playing, environ: Environ, token: str) -> Awaited | None:
    if environ.get("CONTENT_LENGTH") not in {None, "", "0"}:
        return None
    entry = playing.to_finish(token)

    def reply(progress: Progress | None) -> Reply:
        assert progress is not None  # noqa: S101 - a finish has one
        return Reply(OK, _HEADERS, _json(bodies.attempt(playing.finished(entry.claim, progress))))

    # Where it stands on the board may have to be read.
    return _when_stored(playing, entry, reply, elsewhere=True)


def _when_stored(
    playing: Playing, entry: Entry, reply: Callable[[Progress | None], Reply], *, elsewhere: bool = False
) -> Awaited:
    def later(then: Callable[[Callable[[], Reply], BaseException | None], None]) -> None:
        playing.writer.write_and_tell(entry, lambda progress, error: then(partial(reply, progress), error))

    return Awaited(lambda: reply(playing.writer.write(entry)), later, elsewhere=elsewhere)


class _BoardBodies:
    """The boards last shown, as bytes; one a quiz, made anew with its standings."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[Standings, bytes]] = {}

    def answer(self, playing: Playing, environ: Environ, quiz_id: str) -> Reply | None:
        if environ.get("QUERY_STRING") or not _is_id(quiz_id):
            return None
        number = int(quiz_id)
        version, standings = playing.board(QuizId(number))
        made = self._made.get(number)
        if made is None or made[0] is not standings:
            made = standings, _json(bodies.board(number, version, standings, PLACES_SHOWN))
            if len(self._made) >= MOST_BOARDS:
                self._made = {}
            self._made[number] = made
        return Reply(OK, _HEADERS, made[1])


def _given(environ: Environ) -> dict[str, Any] | None:
    body = body_of(environ)
    try:
        given = json.loads(body) if body is not None else None
    except (ValueError, RecursionError):
        return None
    return given if isinstance(given, dict) else None


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= LONGEST_ID


def _json(body: dict[str, Any]) -> bytes:
    return _encode(body).encode() + b"\n"


def _written(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} has no place in an answer")


# As Flask's jsonify writes it.
_encode = json.JSONEncoder(default=_written, sort_keys=True, separators=(",", ":")).encode
