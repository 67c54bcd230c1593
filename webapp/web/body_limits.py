"""What the body of a request may be: not compressed, and no larger than its view needs from whom it is sent.

Both are decided from the headers, after the door and the user, and before anything is read.
"""

from __future__ import annotations

from flask import Flask, current_app, request
from werkzeug.exceptions import RequestEntityTooLarge

from webapp.errors import CodedBodyError, TooLargeError
from webapp.messages import message
from webapp.web import uploads

MAX_STRANGERS_BODY = 64 * 1024
"""Bytes. The largest form of a player, all answers of a long quiz, is a fraction of it."""
MAX_USERS_BODY = 1024 * 1024
"""Bytes that a view may get that only users with a permission reach."""


def init_app(app: Flask) -> None:
    """Check every body; to be called after what turns away who may not send it, and before what reads it."""
    app.config["MAX_CONTENT_LENGTH"] = MAX_STRANGERS_BODY
    app.before_request(_check_body)


def has_body() -> bool:
    """Say whether the present request has a body."""
    return bool(request.content_length) or "Transfer-Encoding" in request.headers


def _check_body() -> None:
    if request.routing_exception is not None or not has_body():
        return
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
        raise CodedBodyError("Send the body as it is, without Content-Encoding.")
    limit = _max_body_bytes()
    # A body without a length is cut off at this size.
    request.max_content_length = limit
    if (request.content_length or 0) > limit:
        if uploads.is_upload_request():
            raise TooLargeError(
                message(
                    "A file may have %(size)s MiB; split it.",
                    size=current_app.config[uploads.MAX_UPLOAD_CONFIG_KEY] // 1024 // 1024,
                )
            )
        raise RequestEntityTooLarge(message("The body of this request may have %(size)s KiB.", size=limit // 1024))


def _max_body_bytes() -> int:
    view = current_app.view_functions.get(request.endpoint or "")
    if not hasattr(view, "required_permission"):
        return MAX_STRANGERS_BODY
    if not uploads.is_upload_request():
        return MAX_USERS_BODY
    max_upload: int = current_app.config[uploads.MAX_UPLOAD_CONFIG_KEY]
    return max_upload + uploads.FORM_OVERHEAD_BYTES
