"""The language of a page: a cookie of the reader's choice, else what the browser prefers, else English."""

from __future__ import annotations

from flask import Flask, request
from flask_babel import Babel

LANGUAGES = {"en": "English", "ko": "한국어"}
"""The languages of pages: their codes and how they name themselves."""
DEFAULT_LANGUAGE = "en"
COOKIE = "language"


def init_app(app: Flask) -> None:
    """Translate texts marked with gettext into the language of the request."""
    Babel(app, default_locale=DEFAULT_LANGUAGE, default_timezone="UTC", locale_selector=select_language)


def select_language() -> str:
    """Return the language of the request: one of `LANGUAGES`."""
    chosen = request.cookies.get(COOKIE, "")
    if chosen in LANGUAGES:
        return chosen
    return request.accept_languages.best_match(LANGUAGES) or DEFAULT_LANGUAGE
