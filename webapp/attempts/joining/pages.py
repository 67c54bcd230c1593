"""Pages: a player types a join code, or opens the address in a QR code. They work without JavaScript."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from flask import Blueprint, current_app, make_response, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from webapp.attempts import tokens
from webapp.attempts.pages import PLAYER_COOKIE, quiz
from webapp.attempts.rate_limit import get_join_limiter
from webapp.attempts.service import get_attempt_service
from webapp.attempts.tokens import PlayerClaim
from webapp.errors import QuotaExceededError
from webapp.quizzes import join_codes
from webapp.quizzes.join_code_cache import get_join_codes
from webapp.web.cookies import set_cookie
from webapp.web.path_prefix import with_prefix
from webapp.web.security.fetch_metadata import require_same_origin

blueprint = Blueprint("join_pages", __name__, url_prefix="/join")
blueprint.before_request(require_same_origin)

DEVICE_COOKIE = "joiner"
"""Names a device that has not played yet. It is sent below /join only: pages of quizzes stay the same for all."""
DEVICE_COOKIE_MAX_AGE = timedelta(days=1)


@blueprint.get("")
def ask() -> Response:
    """Ask for the code."""
    return _render_form("", None, 200)


@blueprint.post("")
def join() -> Response:
    """Lead to the quiz whose code was typed."""
    typed = request.form.get("code", "")
    code = join_codes.fold(typed)
    if code is None:
        message = gettext("A code has six letters and digits, for example %(code)s.", code="K7M 2XF")
        return _render_form(typed, message, 422)
    try:
        slug = _find(code)
    except QuotaExceededError as error:
        return _render_refusal(typed, error)
    if slug is None:
        return _render_unknown(typed)
    return redirect(url_for("attempt_pages.quiz", slug=slug), 303)


@blueprint.get("/<code>")
def join_by_address(code: str) -> Response:
    """Show the quiz with this code: on the first visit of a device its first page itself, without a redirect."""
    folded = join_codes.fold(code)
    try:
        slug = None if folded is None else _find(folded)
    except QuotaExceededError as error:
        return _render_refusal(code, error)
    if slug is None:
        return _render_unknown(code)
    if request.cookies:
        # The cookie of an attempt that was begun here is sent to the quiz's own address only.
        return redirect(url_for("attempt_pages.quiz", slug=slug), 303)
    return quiz(slug)


def _find(code: str) -> str | None:
    """Look a code up, and count that for the player or the device. The first look of a device is not counted."""
    device = _device()
    if device is not None:
        get_join_limiter(current_app).acquire(device)
    return get_join_codes(current_app).slug_of(code)


def _device() -> UUID | None:
    key = get_attempt_service(current_app).signing_key
    for name in (PLAYER_COOKIE, DEVICE_COOKIE):
        if claim := tokens.verify_player_token(request.cookies.get(name), key):
            return claim.player_id
    return None


def _render_unknown(typed: str) -> Response:
    message = gettext("No quiz has this code. Compare it with the one that you were given.")
    return _render_form(typed, message, 404)


def _render_refusal(typed: str, error: QuotaExceededError) -> Response:
    message = gettext("That were many codes. Try again in %(seconds)s s.", seconds=error.retry_after)
    response = _render_form(typed, message, error.status)
    response.headers["Retry-After"] = str(error.retry_after)
    return response


def _render_form(typed: str, problem: str | None, status: int) -> Response:
    shown = typed[: join_codes.MAX_TYPED_LENGTH]
    response: Response = make_response(render_template("attempts/join.html", typed=shown, problem=problem), status)
    if _device() is None:
        key = get_attempt_service(current_app).signing_key
        device = tokens.issue_player_token(PlayerClaim(tokens.new_player_id()), key)
        set_cookie(response, DEVICE_COOKIE, device, DEVICE_COOKIE_MAX_AGE, with_prefix("/join"))
    return response
