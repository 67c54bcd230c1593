"""The language of a page: a cookie of the reader's choice, else what the browser prefers, else English."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from flask import Flask, Response, request
from flask_babel import Babel, get_locale, gettext
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from webapp.messages import ENGLISH_TIME, translate_message

LANGUAGES = {"en": "English", "ko": "한국어"}
"""The languages of pages: their codes and how they name themselves."""
DEFAULT_LANGUAGE = "en"
COOKIE = "language"
VARY = ("Cookie", "Accept-Language")
"""What the text of a page depends on."""
TRANSLATED_MEDIA_TYPES = frozenset({"text/html", "application/problem+json"})
TIME_FORMATS = {"en": "%-d %b %Y, %H:%M UTC", "ko": "%Y년 %-m월 %-d일 %H:%M UTC"}
EXACT_TIME_FORMATS = {"en": ENGLISH_TIME, "ko": "%Y년 %-m월 %-d일 %H:%M:%S UTC"}
MAX_HEADER_LENGTH = 200
"""Characters of Accept-Language that are looked at; browsers send fewer."""


def init_app(app: Flask) -> None:
    """Translate texts marked with gettext into the language of the request."""
    Babel(app, default_locale=DEFAULT_LANGUAGE, default_timezone="UTC", locale_selector=select_language)
    app.jinja_env.globals |= {"page_language": page_language, "languages": LANGUAGES}
    app.jinja_env.filters["translate"] = translate
    app.after_request(_name_dependencies)


def select_language() -> str:
    """Return the language of the request: one of `LANGUAGES`."""
    headers = request.headers
    return negotiate(headers.get("Cookie", ""), headers.get("Accept-Language", ""))


def negotiate(cookie_header: str, accept_language: str) -> str:
    """Return the language for a request with these headers, or with "" for one that is missing."""
    if COOKIE in cookie_header:
        for cookie in cookie_header.split(";"):
            name, _, value = cookie.partition("=")
            if name.strip() == COOKIE and value.strip() in LANGUAGES:
                return value.strip()
    return _prefer(accept_language[:MAX_HEADER_LENGTH])


def page_language() -> str:
    """Return the language of the page that is being made."""
    locale = get_locale()
    return DEFAULT_LANGUAGE if locale is None else str(locale)


def translate(text: str) -> str:
    """Return a text of the rules, with or without values, in the language of the page."""
    return translate_message(text, gettext, EXACT_TIME_FORMATS[page_language()])


def format_time(value: datetime) -> str:
    """Return a time in UTC as readers of the page's language write it, e.g. "20 Nov 2026, 22:30 UTC"."""
    return value.astimezone(UTC).strftime(TIME_FORMATS[page_language()])


# A handful of texts is what nearly all browsers send; others do not fill the memory.
@lru_cache(maxsize=512)
def _prefer(accept_language: str) -> str:
    accepted = parse_accept_header(accept_language, LanguageAccept)
    return accepted.best_match(LANGUAGES) or DEFAULT_LANGUAGE


def _name_dependencies(response: Response) -> Response:
    if response.mimetype in TRANSLATED_MEDIA_TYPES:
        response.vary.update(VARY)
    return response
