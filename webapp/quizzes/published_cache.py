"""Published versions in this worker's memory: opening a quiz touches no connection.

A version never changes but for its window, so it is read once. What may change (which version
is the latest, its window, its slug) is marked in the database by whoever changes it; one look
at the mark for each worker and second shows that nothing has.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from math import inf
from typing import Any, cast

from sqlalchemy import Connection

from poolproof.transactions.cached_read import SingleFlightCache
from webapp.quizzes import published
from webapp.quizzes.catalog_version import CatalogVersion, read_catalog_version
from webapp.quizzes.published import PublishedVersion, QuizId, Slug

CATALOG_TTL = 0.8
"""How long a change may stay unseen; with the time of a read it is below a second."""
MAX_CACHED = 500
"""Quizzes that are kept; documents are some ten kilobytes each."""

ConnectionSource = Callable[[], AbstractContextManager[Connection]]


class _CacheGeneration:
    """What was read while the mark had one value."""

    def __init__(self, catalog_version: int | None) -> None:
        self.catalog_version = catalog_version
        self.versions: dict[QuizId | Slug | int, SingleFlightCache[PublishedVersion]] = {}


class PublishedQuizCache:
    """The published versions that this worker has been asked for."""

    def __init__(self, open_connection: ConnectionSource, ttl: float = CATALOG_TTL) -> None:
        """Read with connections of `read`, when asked; changes are seen after `seconds`."""
        self._open_connection = open_connection
        self._catalog_version: SingleFlightCache[CatalogVersion] = SingleFlightCache(self._read_catalog_version, ttl)
        self._generation = _CacheGeneration(None)

    def current(self, quiz: QuizId | Slug) -> PublishedVersion:
        """Return the latest version of a quiz, whether open or not, as of the database's present time.

        Raises:
            NotFoundError: when there is no such quiz, or it was never published.
        """
        return self._find(quiz)

    def by_version(self, version_id: int) -> PublishedVersion:
        """Return one version, as of the database's present time.

        Raises:
            NotFoundError: when there is none with this id.
        """
        return self._find(version_id)

    def peek(self, version_id: int) -> PublishedVersion | None:
        """Return what `by_version` would return without a read; None where it would have to read."""
        present, kept = self._catalog_version.peek(), self._generation
        if present is None or kept.catalog_version != present.value:
            return None
        found = kept.versions.get(version_id)
        version = found.peek() if found is not None else None
        return version.as_of(present.now()) if version is not None else None

    def now(self) -> datetime:
        """Return the database's present time, as far as this worker knows."""
        return self._catalog_version.get().now()

    def invalidate(self) -> None:
        """Let the next who asks see what this worker has just changed."""
        self._catalog_version.invalidate()

    def _find(self, key: QuizId | Slug | int) -> PublishedVersion:
        present, kept = self._catalog_version.get(), self._generation
        if kept.catalog_version != present.value or len(kept.versions) > MAX_CACHED:
            kept = self._generation = _CacheGeneration(present.value)
        found = kept.versions.get(key)
        if found is None:
            found = kept.versions.setdefault(key, SingleFlightCache(lambda: self._load(key), inf))
        try:
            return found.get().as_of(present.now())
        except Exception:
            # Not there, or not readable: whoever asks next looks again.
            kept.versions.pop(key, None)
            raise

    def _read_catalog_version(self) -> CatalogVersion:
        with self._open_connection() as connection:
            return read_catalog_version(connection)

    def _load(self, key: QuizId | Slug | int) -> PublishedVersion:
        with self._open_connection() as connection:
            if isinstance(key, int):
                return published.by_version(connection, key)
            return published.current(connection, key)


def get_published_cache(app: Any) -> PublishedQuizCache:
    """Return the shelf of a Flask app's worker."""
    return cast("PublishedQuizCache", app.extensions["published_cache"])


def invalidate_after_write(app: Any, method: str) -> None:
    """Let this worker see at once what a request with this method may have changed."""
    if method not in {"GET", "HEAD", "OPTIONS"}:
        get_published_cache(app).invalidate()
