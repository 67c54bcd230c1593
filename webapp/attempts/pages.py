"""Pages for players: a quiz, an attempt, its result, the leaderboard. They work without JavaScript."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, current_app, make_response, redirect, render_template, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import StringField
from wtforms.validators import DataRequired, Length

from poolproof.integrations.flask_ext import read
from webapp.attempts import presenter, scoring, tokens
from webapp.attempts.page_cache import CACHE_HEADERS, get_page_cache, is_cacheable
from webapp.attempts.schemas import ANONYMOUS, MAX_NAME_LENGTH
from webapp.attempts.service import get_attempt_service
from webapp.errors import AttemptFinishedError, InvalidInputError, NotFoundError
from webapp.quizzes.documents import QuizDocument
from webapp.quizzes.published import PublishedVersion, Slug
from webapp.web.form_retry import retryable_form
from webapp.web.security.fetch_metadata import require_same_origin
from webapp.web.validators import validate_storable

blueprint = Blueprint("attempt_pages", __name__)
blueprint.before_request(require_same_origin)

PLAYER_COOKIE = "player"
ATTEMPT_COOKIE = "attempt"
MAX_CHOICE_DIGITS = 2
PLACES_ON_RESULT_PAGE = 10
PLAYER_COOKIE_MAX_AGE = timedelta(days=365)


class StartForm(FlaskForm):  # type: ignore[misc]
    """The name on the leaderboard."""

    class Meta:
        """The page is the same for everybody: `origins` keeps other sites out."""

        csrf = False

    name = StringField(
        "Your name on the leaderboard", [DataRequired("Give a name."), Length(max=MAX_NAME_LENGTH), validate_storable]
    )


@blueprint.get("/quizzes/<slug>")
def quiz(slug: str) -> Response:
    """Introduce a quiz and offer to start, or to go on with an attempt begun in this browser."""
    version = get_attempt_service(current_app).quiz_cache.current(Slug(slug))
    response = make_response(_render_quiz(version, StartForm()))
    if is_cacheable(request.headers.get("Cookie", "")):
        page = get_page_cache(current_app).put(version, response.get_data())
        response.headers.extend([*CACHE_HEADERS, ("ETag", page.etag)])
        response.make_conditional(request)
    return response


@blueprint.post("/quizzes/<slug>/start")
@retryable_form("You have not started yet. Your name is kept on this page; send it again in a moment.")
def start(slug: str) -> Response | tuple[str, int]:
    """Start an attempt and go there; a second press of the button goes to the first attempt."""
    playing = get_attempt_service(current_app)
    version = playing.quiz_cache.current(Slug(slug))
    if token := _token_of_started_attempt(version):
        return redirect(url_for("attempt_pages.attempt", token=token))
    form = StartForm()
    if not form.validate_on_submit():
        return _render_quiz(version, form), 422
    player = tokens.verify_player_token(request.cookies.get(PLAYER_COOKIE), playing.signing_key)
    started = playing.start(Slug(slug), (form.name.data or ANONYMOUS).strip(), player)
    response = redirect(url_for("attempt_pages.attempt", token=started.token))
    _set_cookie(response, PLAYER_COOKIE, started.player_token, PLAYER_COOKIE_MAX_AGE, "/")
    good_for = timedelta(seconds=playing.token_ttl)
    _set_cookie(response, ATTEMPT_COOKIE, started.token, good_for, url_for("attempt_pages.quiz", slug=slug))
    return response


@blueprint.get("/attempts/<token>")
def attempt(token: str) -> str:
    """Show the questions, or the result once the attempt is finished."""
    playing = get_attempt_service(current_app)
    claim = playing.verify(token)
    version = playing.quiz_cache.by_version(claim.version_id)
    with read() as connection:
        found = presenter.load_snapshot(connection, claim, version)
    if found.state.finished_at is None:
        age = int((version.now - claim.started_at).total_seconds())
        left = max(0, playing.token_ttl - age)
        shown = presenter.build_view(claim, found, None)
        return render_template("attempts/play.html", attempt=shown, token=token, claim=claim, seconds_left=left)
    board = playing.leaderboards.get(claim.version_id)
    shown = presenter.build_view(claim, found, presenter.find_rank(board, found.state))
    places = board.places_including(presenter.to_result(claim, found.state), PLACES_ON_RESULT_PAGE)
    return render_template("attempts/result.html", attempt=shown, places=places, claim=claim, token=token)


@blueprint.post("/attempts/<token>")
@retryable_form("Your answers may not be saved yet. They are kept on this page; send them again in a moment.")
def answer(token: str) -> Response:
    """Save all answers of the form at once; the finish button also finishes."""
    playing = get_attempt_service(current_app)
    claim = playing.verify_write(token)
    version = playing.quiz_cache.by_version(claim.version_id)
    finishes = request.form.get("action") == "finish"
    try:
        playing.writer.save(claim, version, _parse_choices(version.document))
    except AttemptFinishedError:
        # The button pressed twice: the first result is shown. New answers are refused.
        if not finishes:
            raise
    if finishes:
        playing.writer.finish(claim, version.document)
    return redirect(url_for("attempt_pages.attempt", token=token, saved=None if finishes else 1))


@blueprint.get("/quizzes/<slug>/leaderboard")
def leaderboard(slug: str) -> str:
    """Show the leaderboard of the quiz's latest version."""
    version, standings = get_attempt_service(current_app).leaderboard(Slug(slug))
    return render_template(
        "attempts/leaderboard.html", quiz=version, places=standings.places, finished=standings.finished_count
    )


def _render_quiz(version: PublishedVersion, form: StartForm) -> str:
    return render_template("attempts/quiz.html", quiz=version, form=form, begun=_token_of_started_attempt(version))


def _token_of_started_attempt(version: PublishedVersion) -> str | None:
    """Return the token of an attempt at this version that was begun in this browser."""
    token = request.cookies.get(ATTEMPT_COOKIE, "")
    try:
        claim = get_attempt_service(current_app).verify(token)
    except NotFoundError:
        return None
    return token if claim.version_id == version.version_id else None


def _parse_choices(document: QuizDocument) -> dict[int, int]:
    """Return what the form says, item → chosen bits; questions left open are left out."""
    chosen: dict[int, int] = {}
    for question in document.questions:
        if values := request.form.getlist(f"item-{question.item_id}"):
            if not all(value.isascii() and value.isdecimal() and len(value) <= MAX_CHOICE_DIGITS for value in values):
                raise InvalidInputError("The form has been changed on its way; please answer again.")
            chosen[question.item_id] = scoring.as_bits(question, map(int, values))
    return chosen


def _set_cookie(response: Response, name: str, value: str, max_age: timedelta, path: str) -> None:
    secure = current_app.config["SESSION_COOKIE_SECURE"]
    response.set_cookie(name, value, max_age=max_age, path=path, httponly=True, samesite="Lax", secure=secure)
