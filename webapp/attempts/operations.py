"""The five operations of a push, as functions of parsed values: open, start, answer, finish, read the leaderboard.

Flask's views and the fast path call the same functions and send what they return, byte for byte. A function raises what
its caller is told as a problem; it knows neither how the request came nor which of the two ways it took.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

from sqlalchemy.exc import DBAPIError

from poolproof.errors import PoolTimeoutError
from poolproof.transactions.outcomes import WriteOutcome
from webapp.attempts import scoring, serializers, tokens
from webapp.attempts.answer_store import AttemptState
from webapp.attempts.answer_writer import REPEAT
from webapp.attempts.leaderboard_cache import Leaderboard
from webapp.attempts.page_cache import CACHE_HEADERS, PageCache, PageVariant
from webapp.attempts.schemas import DEFAULT_PLACES
from webapp.attempts.service import AttemptInPlay, AttemptService
from webapp.errors import BusyError
from webapp.quizzes.published import PublishedVersion, QuizId
from webapp.web.fast_path.routes import JSON_MEDIA_TYPE, PendingResponse, RawResponse
from webapp.web.security import security_headers

OK, CREATED, NOT_MODIFIED = "200 OK", "201 CREATED", "304 NOT MODIFIED"
MAX_CACHED = 200
"""Leaderboards that are kept as bytes."""
MAX_CACHED_ANSWERS = 5000
"""Responses to answers that are kept; half a kilobyte each."""

_JSON_HEADERS = (("Content-Type", JSON_MEDIA_TYPE), *security_headers.API_HEADERS, security_headers.NO_STORE)
_PAGE_HEADERS = (("Content-Type", "text/html; charset=utf-8"), *security_headers.PAGE_HEADERS, *CACHE_HEADERS)


def open_quiz(
    pages: PageCache,
    version: PublishedVersion,
    variant: PageVariant,
    known_etags: str,
    render: Callable[[], bytes] | None = None,
) -> RawResponse | None:
    """Return a quiz's first page, the same for all who have not begun; None where it had to be rendered.

    Args:
        pages: The pages that this worker has rendered.
        version: The quiz, as of now.
        variant: The path under which the service is mounted, and the page's language.
        known_etags: The request's If-None-Match, or "".
        render: Renders the page; None where that would take too long.
    """
    page = pages.get(version, variant)
    if page is None:
        if render is None:
            return None
        page = pages.put(version, variant, render())
    headers = (*_PAGE_HEADERS, ("ETag", page.etag))
    # By weak comparison, of a list too (RFC 9110): a proxy that compresses the page makes its ETag a weak one.
    return RawResponse(NOT_MODIFIED, headers, b"") if page.etag in known_etags else RawResponse(OK, headers, page.body)


def start(service: AttemptService, quiz_id: int, body: dict[str, Any], prefix: str) -> RawResponse:
    """Start an attempt; `body` is a `StartIn`, `prefix` the path under which the service is mounted.

    Raises:
        NotFoundError, QuizNotOpenError, AttemptFinishedError: as `AttemptService.start`.
    """
    player = tokens.verify_player_token(body["player"], service.signing_key)
    started = service.start(QuizId(quiz_id), body["name"].strip(), player)
    headers = (*_JSON_HEADERS, ("Location", f"{prefix}/api/v1/attempts/{started.token}"))
    return RawResponse(CREATED, headers, _dump_json(serializers.dump_started(started)))


def answer(service: AttemptService, attempt: AttemptInPlay, item_id: int, body: dict[str, Any]) -> PendingResponse:
    """Write an answer; `body` is an `AnswerIn`.

    Raises:
        NotFoundError, InvalidInputError, QuizNotOpenError, AttemptFinishedError, QuotaExceededError: as
            `AttemptService.prepare_answer`.
        BusyError: when too many answers wait already.
    """
    entry = service.prepare_answer(attempt, item_id, body["choices"], body["sequence"])
    response = _answered(item_id, entry.chosen[item_id])
    return PendingResponse(service.writer.submit(entry), lambda _: response)


def finish(service: AttemptService, attempt: AttemptInPlay) -> PendingResponse:
    """Write a finish.

    Raises:
        QuotaExceededError: when the player writes too often.
        BusyError: when too many answers wait already.
    """
    entry = service.prepare_finish(attempt)

    def make_response(state: AttemptState) -> RawResponse:
        try:
            view = service.finished_view(attempt, state)
        except (PoolTimeoutError, DBAPIError) as error:
            # Whoever makes a problem of it does not know that anything was committed.
            raise BusyError("It is stored, but cannot be shown just now.", REPEAT, WriteOutcome.PARTLY_DONE) from error
        return RawResponse(OK, _JSON_HEADERS, _dump_json(serializers.dump_attempt(view)))

    # The leaderboard, for the rank, may have to be read.
    return PendingResponse(service.writer.submit(entry), make_response, in_thread=True)


class EncodedLeaderboards:
    """The latest leaderboard of each quiz as encoded JSON; encoded again when there is a new one."""

    def __init__(self) -> None:
        """Begin with none."""
        self._encoded: dict[int, tuple[Leaderboard, bytes]] = {}

    def read(self, service: AttemptService, quiz_id: int, limit: int = DEFAULT_PLACES) -> RawResponse:
        """Return the first `limit` places of the leaderboard of a quiz's latest version.

        Raises:
            NotFoundError: when there is no such quiz.
        """
        version, leaderboard = service.leaderboard(QuizId(quiz_id))
        encoded = self._encoded.get(quiz_id)
        if limit != DEFAULT_PLACES or encoded is None or encoded[0] is not leaderboard:
            body = _dump_json(serializers.dump_leaderboard(quiz_id, version, leaderboard, limit))
            encoded = leaderboard, body
            if limit == DEFAULT_PLACES:
                self._store(quiz_id, encoded)
        return RawResponse(OK, _JSON_HEADERS, encoded[1])

    def _store(self, quiz_id: int, encoded: tuple[Leaderboard, bytes]) -> None:
        if len(self._encoded) >= MAX_CACHED:
            self._encoded = {}
        self._encoded[quiz_id] = encoded


def get_leaderboards(app: Any) -> EncodedLeaderboards:
    """Return the encoded leaderboards of a Flask app."""
    return cast("EncodedLeaderboards", app.extensions["encoded_leaderboards"])


@lru_cache(maxsize=MAX_CACHED_ANSWERS)
def _answered(item_id: int, bits: int) -> RawResponse:
    """Return the response to an answer: the same for all who have chosen the same."""
    return RawResponse(OK, _JSON_HEADERS, _dump_json(serializers.dump_answer(item_id, scoring.as_positions(bits))))


def _dump_json(body: dict[str, Any]) -> bytes:
    return _encode(body).encode() + b"\n"


def _json_default(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} cannot be encoded as JSON")


# In the format of Flask's jsonify.
_encode = json.JSONEncoder(default=_json_default, sort_keys=True, separators=(",", ":")).encode
