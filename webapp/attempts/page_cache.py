"""The quiz's first page as it was rendered: the same bytes for everybody who comes for the first time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, cast

from webapp.quizzes.published import PublishedVersion

MAX_CACHED = 500
"""Pages; some two kilobytes each."""
CACHE_HEADERS = (("Cache-Control", "no-cache"), ("Vary", "Cookie"))
"""Kept by the browser, and asked for again: the answer is 304 while nothing has changed."""
IGNORED_COOKIES = frozenset({"player"})
"""Cookies that change nothing on the page."""


@dataclass(frozen=True)
class CachedPage:
    """A page and its strong ETag."""

    body: bytes
    etag: str


class PageCache:
    """The pages that this worker has rendered. A version never changes; where its window stands does."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._pages: dict[tuple[Any, ...], CachedPage] = {}

    def get(self, version: PublishedVersion) -> CachedPage | None:
        """Return the version's page, if it was rendered as it would be now."""
        return self._pages.get(_cache_key(version))

    def put(self, version: PublishedVersion, body: bytes) -> CachedPage:
        """Keep a page."""
        if len(self._pages) >= MAX_CACHED:
            self._pages = {}
        page = CachedPage(body, f'"{hashlib.sha256(body).hexdigest()[:24]}"')
        self._pages[_cache_key(version)] = page
        return page


def is_cacheable(cookie_header: str) -> bool:
    """Say whether somebody with this Cookie header sees what everybody sees."""
    return not cookie_header or all(
        one.partition("=")[0].strip() in IGNORED_COOKIES for one in cookie_header.split(";")
    )


def _cache_key(version: PublishedVersion) -> tuple[Any, ...]:
    return version.version_id, version.slug, version.state, version.opens_at, version.closes_at


def get_page_cache(app: Any) -> PageCache:
    """Return the pages that a Flask app's worker has kept."""
    return cast("PageCache", app.extensions["page_cache"])
