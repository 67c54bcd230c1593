"""Pages of the studio: test play of a draft or of the published version. Nothing is stored, and nothing is counted."""

from __future__ import annotations

from enum import StrEnum

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from poolproof.integrations.flask_ext import read
from webapp.accounts.auth import get_current_user, require_page
from webapp.accounts.roles import Permission
from webapp.attempts.pages import parse_choices
from webapp.attempts.service import get_attempt_service
from webapp.attempts.trial import attempts
from webapp.attempts.trial.attempts import TrialStart
from webapp.errors import InvalidInputError, NotFoundError
from webapp.quizzes import draft_preview
from webapp.quizzes.published import PublishedVersion, QuizId
from webapp.web.languages import translate
from webapp.web.rest.openapi import ID
from webapp.web.security.fetch_metadata import require_same_origin

blueprint = Blueprint("trial", __name__, url_prefix=f"/studio/quizzes/<{ID}:quiz_id>/trial")
blueprint.before_request(require_same_origin)

SECONDS_OF_PLAY = 24 * 3600


class Source(StrEnum):
    """What is played."""

    DRAFT = "draft"
    PUBLISHED = "published"


@blueprint.get("/<any(draft, published):source>")
@require_page(Permission.EDIT_QUIZZES)
def begin(quiz_id: int, source: str) -> Response:
    """Begin a test play."""
    seed = attempts.new_seed()
    try:
        version, number = _load(quiz_id, Source(source), seed)
    except InvalidInputError as error:
        flash(translate(error.detail), "error")
        return redirect(url_for("studio.quiz", quiz_id=quiz_id))
    token = attempts.begin(seed, number, get_current_user().name, version.now, _signing_key())
    return redirect(url_for("trial.play", quiz_id=quiz_id, source=source, token=token))


@blueprint.route("/<any(draft, published):source>/<token>", methods=["GET", "POST"])
@require_page(Permission.EDIT_QUIZZES)
def play(quiz_id: int, source: str, token: str) -> str | Response:
    """Show the questions; on Finish score what was sent, in memory."""
    started = attempts.resume(token, _signing_key())
    if started is None:
        raise NotFoundError("This is not the address of a test play.")
    version, number = _load(quiz_id, Source(source), started.claim.seed)
    if number != started.state_of_quiz:
        flash(gettext("The quiz has changed since this test play began, so it begins anew."), "success")
        return redirect(url_for("trial.begin", quiz_id=quiz_id, source=source), 303)
    return _render(quiz_id, source, token, started, version)


def _render(quiz_id: int, source: str, token: str, started: TrialStart, version: PublishedVersion) -> str:
    answers = parse_choices(version.document.questions_for(started.claim.seed)) if request.method == "POST" else {}
    is_over = request.form.get("action") == "finish"
    view = attempts.view(started.claim, version, answers, version.now if is_over else None)
    shown = {"attempt": view, "claim": started.claim, "token": token, "quiz_id": quiz_id, "source": source}
    if is_over:
        return render_template("studio/trial_result.html", places=(), **shown)
    return render_template("studio/trial_play.html", seconds_left=SECONDS_OF_PLAY, **shown)


def _load(quiz_id: int, source: Source, seed: int) -> tuple[PublishedVersion, int]:
    """Return what is played, and the number that changes when it does."""
    if source is Source.DRAFT:
        with read() as connection:
            return draft_preview.preview(connection, quiz_id, seed)
    version = get_attempt_service(current_app).quiz_cache.current(QuizId(quiz_id))
    return version, version.version_id


def _signing_key() -> str:
    return get_attempt_service(current_app).signing_key
