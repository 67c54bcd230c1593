"""The directory of join codes in this worker's memory: two thousand players who join at once read it once.

It is read anew when the catalog version has changed, which every publication and every new code does. A code that does
not exist costs no read either, so guessing does not load the database.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from math import inf
from typing import Any, cast

from poolproof.runtime import fork
from poolproof.transactions.cached_read import SingleFlightCache
from poolproof.transactions.unit_of_work import ConnectionFactory
from webapp.quizzes.catalog_version import CatalogVersion
from webapp.quizzes.join_code_store import JoinCodeDirectory, read_directory


class _CacheGeneration:
    """The directory at one catalog version."""

    def __init__(self, catalog_version: int | None, load: Callable[[], JoinCodeDirectory]) -> None:
        self.catalog_version = catalog_version
        self.directory: SingleFlightCache[JoinCodeDirectory] = SingleFlightCache(load, inf)


class JoinCodeCache:
    """The codes of published quizzes, as of the last second."""

    def __init__(self, connect: ConnectionFactory, catalog_version: Callable[[], CatalogVersion]) -> None:
        """Read on connections of `connect` when `catalog_version` returns another version than before."""
        self._connect = connect
        self._catalog_version = catalog_version
        self._generation = _CacheGeneration(None, self._load)
        # Guards the exchange of the generation, so that all who come at once wait for one read; held for moments.
        self._lock = threading.Lock()
        fork.track(self, fork.Phase.LOCKS)

    def slug_of(self, code: str) -> str | None:
        """Return the slug of the quiz with this code; None where there is none."""
        return self._directory().slugs.get(code)

    def reset_after_fork(self) -> None:
        """Replace the lock, which a thread of the parent may have held at the fork."""
        self._lock = threading.Lock()

    def _directory(self) -> JoinCodeDirectory:
        version, generation = self._catalog_version().value, self._generation
        if generation.catalog_version != version:
            with self._lock:
                generation = self._generation
                if generation.catalog_version != version:
                    generation = self._generation = _CacheGeneration(version, self._load)
        return generation.directory.get()

    def _load(self) -> JoinCodeDirectory:
        with self._connect() as connection:
            return read_directory(connection)


def get_join_codes(app: Any) -> JoinCodeCache:
    """Return the cache of join codes of a Flask app."""
    return cast("JoinCodeCache", app.extensions["join_codes"])
