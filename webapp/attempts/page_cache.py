"""The rendered first page of a quiz: the same bytes for all players who have not begun an attempt."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from webapp.quizzes.published import PublishedVersion
from webapp.web import languages

MAX_CACHED = 500
"""Pages; about two kilobytes each."""
CACHE_HEADERS = (("Cache-Control", "no-cache"), ("Vary", ", ".join(languages.VARY)))
"""A browser keeps the page and revalidates it; the response is 304 while it has not changed."""
IGNORED_COOKIES = frozenset({"player", languages.COOKIE})
"""Cookies on which the page does not depend, beside its language."""


class PageVariant(NamedTuple):
    """What one page of a version differs in: the path under which its links lead, and its language."""

    prefix: str
    language: str


@dataclass(frozen=True)
class CachedPage:
    """A page and its strong ETag."""

    body: bytes
    etag: str


class PageCache:
    """The pages that this worker has rendered. A version never changes, but its rules do, and the time."""

    def __init__(self) -> None:
        """Start empty."""
        self._pages: dict[tuple[Any, ...], CachedPage] = {}

    def get(self, version: PublishedVersion, variant: PageVariant) -> CachedPage | None:
        """Return the version's page, if it was rendered in the window's present state."""
        return self._pages.get(_cache_key(version, variant))

    def put(self, version: PublishedVersion, variant: PageVariant, body: bytes) -> CachedPage:
        """Store a page."""
        if len(self._pages) >= MAX_CACHED:
            self._pages = {}
        page = CachedPage(body, f'"{hashlib.sha256(body).hexdigest()[:24]}"')
        self._pages[_cache_key(version, variant)] = page
        return page


def is_cacheable(cookie_header: str) -> bool:
    """Say whether the page for a request with this Cookie header is the same as for all others of its language."""
    return not cookie_header or all(
        cookie.partition("=")[0].strip() in IGNORED_COOKIES for cookie in cookie_header.split(";")
    )


def _cache_key(version: PublishedVersion, variant: PageVariant) -> tuple[Any, ...]:
    return variant, version.version_id, version.slug, version.state, version.rules


def get_page_cache(app: Any) -> PageCache:
    """Return the page cache of a Flask app."""
    return cast("PageCache", app.extensions["page_cache"])
