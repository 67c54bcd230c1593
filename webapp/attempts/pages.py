"""Pages for players: a quiz, an attempt, its result, the leaderboard. They work without JavaScript."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from flask import Blueprint, current_app, make_response, redirect, render_template, request, url_for
from flask_babel import lazy_gettext
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import StringField
from wtforms.validators import DataRequired, Length

from poolproof.integrations.flask_ext import run_in_transaction
from webapp.attempts import erasure, operations, presenter, scoring, serializers, tokens
from webapp.attempts.models import MAX_NAME_LENGTH
from webapp.attempts.page_cache import PageVariant, get_page_cache, is_cacheable
from webapp.attempts.presenter import AttemptView
from webapp.attempts.schemas import ANONYMOUS
from webapp.attempts.service import get_attempt_service
from webapp.errors import (
    AttemptErasedError,
    AttemptFinishedError,
    AttemptTimeOverError,
    InvalidInputError,
    NotFoundError,
)
from webapp.quizzes.documents import Question
from webapp.quizzes.published import PublishedVersion, Slug
from webapp.web.cookies import set_cookie
from webapp.web.fast_path.middleware import flask_response
from webapp.web.form_retry import retryable_form
from webapp.web.languages import page_language
from webapp.web.path_prefix import with_prefix
from webapp.web.security.fetch_metadata import require_same_origin
from webapp.web.validators import is_decimal, validate_storable, validate_visible

blueprint = Blueprint("attempt_pages", __name__)
blueprint.before_request(require_same_origin)

PLAYER_COOKIE = "player"
ATTEMPT_COOKIE = "attempt"
MAX_CHOICE_DIGITS = 2
PLACES_ON_RESULT_PAGE = 10
COOKIE_MAX_AGE = timedelta(days=365)
MAX_CLOCK = 3600
"""Seconds to the end of a quiz for which a clock is shown; an attempt's own time always has one."""
OUTBOX_MARGIN = 7 * 24 * 3600
"""Seconds for which a browser keeps unsent answers after their attempt is over: the window may be lengthened."""


class StartForm(FlaskForm):  # type: ignore[misc]
    """The player's name on the leaderboard."""

    class Meta:
        """No token, since the page is the same for all players; `fetch_metadata` keeps other sites out."""

        csrf = False

    name = StringField(
        lazy_gettext("Your name on the leaderboard"),
        [DataRequired(lazy_gettext("Give a name.")), Length(max=MAX_NAME_LENGTH), validate_storable, validate_visible],
    )


@blueprint.get("/quizzes/<slug>")
def quiz(slug: str) -> Response:
    """Introduce a quiz and offer to start, or to continue an attempt that was begun in this browser."""
    version = get_attempt_service(current_app).quiz_cache.current(Slug(slug))

    def render() -> bytes:
        return _render_quiz(version, StartForm()).encode()

    if not is_cacheable(request.headers.get("Cookie", "")):
        return make_response(render())
    known_etags = request.headers.get("If-None-Match", "")
    pages, variant = get_page_cache(current_app), PageVariant(request.script_root, page_language())
    opened = operations.open_quiz(pages, version, variant, known_etags, render)
    assert opened is not None  # noqa: S101 - it was allowed to render
    return flask_response(opened)


@blueprint.post("/quizzes/<slug>/start")
@retryable_form("You have not started yet. Your name is kept on this page; send it again in a moment.")
def start(slug: str) -> Response | tuple[str, int]:
    """Start an attempt and redirect to it; a second click redirects to the first attempt."""
    service = get_attempt_service(current_app)
    version = service.quiz_cache.current(Slug(slug))
    if (token := _token_of_started_attempt(version)) and not request.form.get("again"):
        return redirect(url_for("attempt_pages.attempt", token=token))
    form = StartForm()
    if not form.validate_on_submit():
        return _render_quiz(version, form), 422
    player = tokens.verify_player_token(request.cookies.get(PLAYER_COOKIE), service.signing_key)
    name = (form.name.data or ANONYMOUS).strip()
    try:
        started = service.start(Slug(slug), name, player)
    except AttemptFinishedError:
        if player is None:
            raise
        # The page of an attempt that is finished shows its result.
        return redirect(url_for("attempt_pages.attempt", token=service.issue_token(version, player, name)))
    response = redirect(url_for("attempt_pages.attempt", token=started.token))
    set_cookie(response, PLAYER_COOKIE, started.player_token, COOKIE_MAX_AGE, with_prefix("/"))
    # It leads to the result, too, when the quiz has closed long ago.
    set_cookie(response, ATTEMPT_COOKIE, started.token, COOKIE_MAX_AGE, url_for("attempt_pages.quiz", slug=slug))
    return response


@blueprint.get("/attempts/<token>")
def attempt(token: str) -> str:
    """Show the questions, or the result once the attempt is finished."""
    service = get_attempt_service(current_app)
    claim = service.verify(token)
    snapshot = service.read(claim)
    version = snapshot.version
    if snapshot.state.finished_at is None:
        view = presenter.build_view(claim, snapshot, None)
        if service.time_limits.is_over(view.started_at, version) and not view.answered:
            return render_template("attempts/over.html", attempt=view)
        return render_template(
            "attempts/play.html",
            attempt=view,
            token=token,
            claim=claim,
            seconds_left=service.time_limits.seconds_left(view.started_at, version) + OUTBOX_MARGIN,
            clock_seconds=_clock_seconds(view, version),
            refresh_margin=service.time_limits.grace + 1,
        )
    leaderboard = service.standings(version)
    view = presenter.build_view(claim, snapshot, presenter.find_rank(leaderboard, snapshot.state))
    places = leaderboard.places[:PLACES_ON_RESULT_PAGE]
    if version.rules.max_attempts == 1:
        # Of several attempts another one may be on the leaderboard.
        places = leaderboard.places_including(presenter.to_result(claim, snapshot.state), PLACES_ON_RESULT_PAGE)
    return render_template("attempts/result.html", attempt=view, places=places, claim=claim, token=token)


@blueprint.post("/attempts/<token>")
@retryable_form("Your answers may not be saved yet. They are kept on this page; send them again in a moment.")
def answer(token: str) -> Response:
    """Save all answers of the form at once; the finish button also finishes."""
    service = get_attempt_service(current_app)
    claim = service.verify_write(token)
    version = service.quiz_cache.by_version(claim.version_id)
    finishes = request.form.get("action") == "finish"
    try:
        service.save(claim, version, parse_choices(version.document.questions_for(claim.seed)))
    except AttemptFinishedError:
        # After a second click on the finish button the first result is shown. New answers are refused.
        if not finishes:
            raise
    except AttemptTimeOverError:
        # The page shows the result of what was saved in time.
        return redirect(url_for("attempt_pages.attempt", token=token, late=1))
    if finishes:
        service.writer.finish(claim, version.document)
    return redirect(url_for("attempt_pages.attempt", token=token, saved=None if finishes else 1))


@blueprint.get("/quizzes/<slug>/leaderboard")
def leaderboard(slug: str) -> str:
    """Show the leaderboard of the quiz's latest version."""
    version, standings = get_attempt_service(current_app).leaderboard(Slug(slug))
    return render_template(
        "attempts/leaderboard.html", quiz=version, places=standings.places, finished=standings.finished_count
    )


@blueprint.get("/attempts/<token>/data")
def stored(token: str) -> str | tuple[str, int]:
    """Show what is stored of an attempt, and for how long."""
    service = get_attempt_service(current_app)
    claim, version = service.find(token)
    try:
        data = service.load_data(claim)
    except AttemptErasedError:
        return render_template("attempts/erased.html", quiz=version, claim=claim), AttemptErasedError.status
    kept_days = service.time_limits.kept_days(version.rules)
    body = serializers.dump_data(claim, version, data, kept_days)
    return render_template("attempts/data.html", quiz=version, data=body, token=token)


@blueprint.post("/attempts/<token>/erase")
@retryable_form("Your attempt may not be erased yet. Send the form again in a moment; to erase it twice does no harm.")
def erase(token: str) -> Response:
    """Erase what is stored of an attempt; without the tick in the form nothing happens."""
    service = get_attempt_service(current_app)
    claim = service.verify_write(token)
    version = service.quiz_cache.by_version(claim.version_id)
    response = make_response(redirect(url_for("attempt_pages.stored", token=token), 303))
    if request.form.get("sure"):
        run_in_transaction(lambda connection: erasure.erase(connection, claim), idempotent=True)
        service.forget(claim)
        # The page of the quiz would lead to the attempt.
        response.delete_cookie(ATTEMPT_COOKIE, path=url_for("attempt_pages.quiz", slug=version.slug))
    return response


def _render_quiz(version: PublishedVersion, form: StartForm) -> str:
    return render_template("attempts/quiz.html", quiz=version, form=form, begun=_token_of_started_attempt(version))


def _clock_seconds(view: AttemptView, version: PublishedVersion) -> int | None:
    """Return the seconds that the page counts down; None where the end is the quiz's and far away."""
    if version.rules.time_limit is None and (view.seconds_left or MAX_CLOCK + 1) > MAX_CLOCK:
        return None
    return view.seconds_left


def _token_of_started_attempt(version: PublishedVersion) -> str | None:
    """Return the token of an attempt at this version that was begun in this browser."""
    token = request.cookies.get(ATTEMPT_COOKIE, "")
    try:
        claim = get_attempt_service(current_app).verify(token)
    except NotFoundError:
        return None
    return token if claim.version_id == version.version_id else None


def parse_choices(questions: Iterable[Question]) -> dict[int, int]:
    """Return the choices in the posted form, item → chosen bits; without questions that were not answered.

    Raises:
        InvalidInputError: for a choice that the quiz does not have.
    """
    chosen: dict[int, int] = {}
    for question in questions:
        if values := request.form.getlist(f"item-{question.item_id}"):
            if not all(is_decimal(value, MAX_CHOICE_DIGITS) for value in values):
                raise InvalidInputError("The form has been changed on its way; please answer again.")
            chosen[question.item_id] = scoring.as_bits(question, map(int, values))
    return chosen
