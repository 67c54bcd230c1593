"""Pages for players: a quiz, an attempt, its result, the board. They work without JavaScript."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, current_app, make_response, redirect, render_template, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import StringField
from wtforms.validators import DataRequired, Length

from webapp.attempts import scoring, tokens, views
from webapp.attempts.kept_pages import KEPT, is_everybodys, kept_pages_of
from webapp.attempts.playing import playing_of
from webapp.attempts.schemas import ANONYMOUS, LONGEST_NAME
from webapp.errors import AttemptFinishedError, InvalidInputError, NotFoundError
from webapp.pooling.extension import read
from webapp.quizzes.documents import Document
from webapp.quizzes.published import Slug, Version
from webapp.web.origins import refuse_other_sites
from webapp.web.repeating import repeatable
from webapp.web.text import storable

blueprint = Blueprint("attempt_pages", __name__)
blueprint.before_request(refuse_other_sites)

PLAYER_COOKIE = "player"
ATTEMPT_COOKIE = "attempt"
DIGITS_OF_A_CHOICE = 2
SHOWN_WITH_RESULT = 10
A_YEAR = timedelta(days=365)


class StartForm(FlaskForm):  # type: ignore[misc]
    """The name on the board."""

    class Meta:
        """The page is the same for everybody: `origins` keeps other sites out."""

        csrf = False

    name = StringField("Your name on the board", [DataRequired("Give a name."), Length(max=LONGEST_NAME), storable])


@blueprint.get("/quizzes/<slug>")
def quiz(slug: str) -> Response:
    """Introduce a quiz and offer to start, or to go on with an attempt begun in this browser."""
    version = playing_of(current_app).shelf.current(Slug(slug))
    response = make_response(_introduction(version, StartForm()))
    if is_everybodys(request.headers.get("Cookie", "")):
        page = kept_pages_of(current_app).keep(version, response.get_data())
        response.headers.extend([*KEPT, ("ETag", page.etag)])
        response.make_conditional(request)
    return response


@blueprint.post("/quizzes/<slug>/start")
@repeatable("You have not started yet. Your name is kept on this page; send it again in a moment.")
def start(slug: str) -> Response | tuple[str, int]:
    """Start an attempt and go there; a second press of the button goes to the first attempt."""
    playing = playing_of(current_app)
    version = playing.shelf.current(Slug(slug))
    if token := _begun_here(version):
        return redirect(url_for("attempt_pages.attempt", token=token))
    form = StartForm()
    if not form.validate_on_submit():
        return _introduction(version, form), 422
    player = tokens.read_player(request.cookies.get(PLAYER_COOKIE), playing.key)
    started = playing.start(Slug(slug), (form.name.data or ANONYMOUS).strip(), player)
    response = redirect(url_for("attempt_pages.attempt", token=started.token))
    _set_cookie(response, PLAYER_COOKIE, started.player_token, A_YEAR, "/")
    good_for = timedelta(seconds=playing.good_for)
    _set_cookie(response, ATTEMPT_COOKIE, started.token, good_for, url_for("attempt_pages.quiz", slug=slug))
    return response


@blueprint.get("/attempts/<token>")
def attempt(token: str) -> str:
    """Show the questions, or the result once the attempt is finished."""
    playing = playing_of(current_app)
    claim = playing.claim(token)
    version = playing.shelf.by_version(claim.version_id)
    with read() as connection:
        found = views.standing(connection, claim, version)
    if found.progress.finished_at is None:
        age = int((version.now - claim.started_at).total_seconds())
        left = max(0, playing.good_for - age)
        shown = views.view(claim, found, None)
        return render_template("attempts/play.html", attempt=shown, token=token, claim=claim, seconds_left=left)
    board = playing.boards.standings(claim.version_id)
    shown = views.view(claim, found, views.rank(board, found.progress))
    places = board.places_with(views.result(claim, found.progress), SHOWN_WITH_RESULT)
    return render_template("attempts/result.html", attempt=shown, places=places, claim=claim, token=token)


@blueprint.post("/attempts/<token>")
@repeatable("Your answers may not be saved yet. They are kept on this page; send them again in a moment.")
def answer(token: str) -> Response:
    """Save all answers of the form at once; the finish button also finishes."""
    playing = playing_of(current_app)
    claim = playing.claim_to_write(token)
    version = playing.shelf.by_version(claim.version_id)
    finishes = request.form.get("action") == "finish"
    try:
        playing.writer.save(claim, version, _chosen(version.document))
    except AttemptFinishedError:
        # The button pressed twice: the first result is shown. New answers are refused.
        if not finishes:
            raise
    if finishes:
        playing.writer.finish(claim, version.document)
    return redirect(url_for("attempt_pages.attempt", token=token, saved=None if finishes else 1))


@blueprint.get("/quizzes/<slug>/board")
def board(slug: str) -> str:
    """Show the board of the quiz's latest version."""
    version, standings = playing_of(current_app).board(Slug(slug))
    return render_template("attempts/board.html", quiz=version, places=standings.places, finished=standings.finished)


def _introduction(version: Version, form: StartForm) -> str:
    return render_template("attempts/quiz.html", quiz=version, form=form, begun=_begun_here(version))


def _begun_here(version: Version) -> str | None:
    """Return the token of an attempt at this version that was begun in this browser."""
    token = request.cookies.get(ATTEMPT_COOKIE, "")
    try:
        claim = playing_of(current_app).claim(token)
    except NotFoundError:
        return None
    return token if claim.version_id == version.version_id else None


def _chosen(document: Document) -> dict[int, int]:
    """Return what the form says, item → chosen bits; questions left open are left out."""
    chosen: dict[int, int] = {}
    for question in document.questions:
        if values := request.form.getlist(f"item-{question.item_id}"):
            if not all(value.isascii() and value.isdecimal() and len(value) <= DIGITS_OF_A_CHOICE for value in values):
                raise InvalidInputError("The form has been changed on its way; please answer again.")
            chosen[question.item_id] = scoring.as_bits(question, map(int, values))
    return chosen


def _set_cookie(response: Response, name: str, value: str, age: timedelta, path: str) -> None:
    secure = current_app.config["SESSION_COOKIE_SECURE"]
    response.set_cookie(name, value, max_age=age, path=path, httponly=True, samesite="Lax", secure=secure)
