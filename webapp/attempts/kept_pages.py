"""The quiz's first page as it was rendered: the same bytes for everybody who comes for the first time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, cast

from webapp.quizzes.published import Version

MOST = 500
"""Pages; some two kilobytes each."""
KEPT = (("Cache-Control", "no-cache"), ("Vary", "Cookie"))
"""Kept by the browser, and asked for again: the answer is 304 while nothing has changed."""
OF_NO_MATTER = frozenset({"player"})
"""Cookies that change nothing on the page."""


@dataclass(frozen=True)
class KeptPage:
    """A page and its strong ETag."""

    body: bytes
    etag: str


class KeptPages:
    """The pages that this worker has rendered. A version never changes; where its window stands does."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._pages: dict[tuple[Any, ...], KeptPage] = {}

    def find(self, version: Version) -> KeptPage | None:
        """Return the version's page, if it was rendered as it would be now."""
        return self._pages.get(_key(version))

    def keep(self, version: Version, body: bytes) -> KeptPage:
        """Keep a page."""
        if len(self._pages) >= MOST:
            self._pages = {}
        page = KeptPage(body, f'"{hashlib.sha256(body).hexdigest()[:24]}"')
        self._pages[_key(version)] = page
        return page


def is_everybodys(cookies: str) -> bool:
    """Say whether somebody with this Cookie header sees what everybody sees."""
    return not cookies or all(one.partition("=")[0].strip() in OF_NO_MATTER for one in cookies.split(";"))


def _key(version: Version) -> tuple[Any, ...]:
    return version.version_id, version.slug, version.state, version.opens_at, version.closes_at


def kept_pages_of(app: Any) -> KeptPages:
    """Return the pages that a Flask app's worker has kept."""
    return cast("KeptPages", app.extensions["kept_pages"])
