"""Published versions in this worker's memory: opening a quiz needs no connection.

A version never changes but for its window, so it is read once. Every change of what may change (which version is the
latest, its window, its slug) also changes the catalog version; each worker reads that once a second, and drops its
cache when it is another one.
"""

from __future__ import annotations

import time
from datetime import timedelta
from math import inf
from typing import Any, cast

from poolproof.transactions.cached_read import SingleFlightCache
from poolproof.transactions.unit_of_work import ConnectionFactory
from webapp.quizzes import published
from webapp.quizzes.catalog_version import CatalogVersion, read_catalog_version
from webapp.quizzes.published import PublishedVersion, QuizId, Slug

CATALOG_TTL = 0.8
"""Seconds after which a change is seen; with the time of a read it is less than a second."""
MAX_CACHED = 500
"""Quizzes that are kept; a document has about ten kilobytes."""


class _CacheGeneration:
    """The versions that were read at one catalog version."""

    def __init__(self, catalog_version: int | None) -> None:
        self.catalog_version = catalog_version
        self.versions: dict[QuizId | Slug | int, SingleFlightCache[PublishedVersion]] = {}


class PublishedQuizCache:
    """The published versions that were requested from this worker."""

    def __init__(self, connect: ConnectionFactory, ttl: float = CATALOG_TTL) -> None:
        """Read on connections of `connect` when needed; changes are seen after `ttl` seconds."""
        self._connect = connect
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
        catalog_version, generation = self._catalog_version.peek(), self._generation
        if catalog_version is None or generation.catalog_version != catalog_version.value:
            return None
        cached = generation.versions.get(version_id)
        version = cached.peek() if cached is not None else None
        return _as_of(version, catalog_version) if version is not None else None

    def catalog_version(self) -> CatalogVersion:
        """Return the catalog version, which is read once in `CATALOG_TTL`, for other caches of what players see."""
        return self._catalog_version.get()

    def invalidate(self) -> None:
        """Have the next request read the catalog version, after a change by this worker."""
        self._catalog_version.invalidate()

    def _find(self, key: QuizId | Slug | int) -> PublishedVersion:
        catalog_version, generation = self._catalog_version.get(), self._generation
        if generation.catalog_version != catalog_version.value or len(generation.versions) > MAX_CACHED:
            generation = self._generation = _CacheGeneration(catalog_version.value)
        cached = generation.versions.get(key)
        if cached is None:
            cached = generation.versions.setdefault(key, SingleFlightCache(lambda: self._load(key), inf))
        try:
            return _as_of(cached.get(), catalog_version)
        except Exception:
            # The version does not exist or could not be read: the next request tries again.
            generation.versions.pop(key, None)
            raise

    def _read_catalog_version(self) -> CatalogVersion:
        with self._connect() as connection:
            return read_catalog_version(connection)

    def _load(self, key: QuizId | Slug | int) -> PublishedVersion:
        with self._connect() as connection:
            if isinstance(key, int):
                return published.by_version(connection, key)
            return published.current(connection, key)


def _as_of(version: PublishedVersion, catalog_version: CatalogVersion) -> PublishedVersion:
    """Return a version as of the database's present time; like `dataclasses.replace`, in a fifth of its time."""
    now = catalog_version.database_time + timedelta(seconds=time.monotonic() - catalog_version.read_at)
    copy = object.__new__(PublishedVersion)
    copy.__dict__.update(version.__dict__, now=now)
    return copy


def get_published_cache(app: Any) -> PublishedQuizCache:
    """Return the cache of published versions of a Flask app."""
    return cast("PublishedQuizCache", app.extensions["published_cache"])


def invalidate_after_write(app: Any, method: str) -> None:
    """Have this worker see at once what a request with this method may have changed."""
    if method not in {"GET", "HEAD", "OPTIONS"}:
        get_published_cache(app).invalidate()
