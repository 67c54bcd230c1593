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

from webapp.pooling.shared import SharedRead
from webapp.quizzes import mark, published
from webapp.quizzes.mark import Mark
from webapp.quizzes.published import QuizId, Slug, Version

SECONDS = 0.8
"""How long a change may stay unseen; with the time of a read it is below a second."""
MOST = 500
"""Quizzes that are kept; documents are some ten kilobytes each."""

Read = Callable[[], AbstractContextManager[Connection]]


class _Kept:
    """What was read while the mark had one value."""

    def __init__(self, marked: int | None) -> None:
        self.marked = marked
        self.versions: dict[QuizId | Slug | int, SharedRead[Version]] = {}


class Shelf:
    """The published versions that this worker has been asked for."""

    def __init__(self, read: Read, seconds: float = SECONDS) -> None:
        """Read with connections of `read`, when asked; changes are seen after `seconds`."""
        self._read = read
        self._mark: SharedRead[Mark] = SharedRead(self._look, seconds)
        self._kept = _Kept(None)

    def current(self, which: QuizId | Slug) -> Version:
        """Return the latest version of a quiz, whether open or not, as of the database's present time.

        Raises:
            NotFoundError: when there is no such quiz, or it was never published.
        """
        return self._find(which)

    def by_version(self, version_id: int) -> Version:
        """Return one version, as of the database's present time.

        Raises:
            NotFoundError: when there is none with this id.
        """
        return self._find(version_id)

    def at_hand(self, version_id: int) -> Version | None:
        """Return what `by_version` would return without a read; None where it would have to read."""
        present, kept = self._mark.at_hand(), self._kept
        if present is None or kept.marked != present.value:
            return None
        found = kept.versions.get(version_id)
        version = found.at_hand() if found is not None else None
        return version.at(present.now()) if version is not None else None

    def now(self) -> datetime:
        """Return the database's present time, as far as this worker knows."""
        return self._mark.get().now()

    def look_again(self) -> None:
        """Let the next who asks see what this worker has just changed."""
        self._mark.forget()

    def _find(self, which: QuizId | Slug | int) -> Version:
        present, kept = self._mark.get(), self._kept
        if kept.marked != present.value or len(kept.versions) > MOST:
            kept = self._kept = _Kept(present.value)
        found = kept.versions.get(which)
        if found is None:
            found = kept.versions.setdefault(which, SharedRead(lambda: self._load(which), inf))
        try:
            return found.get().at(present.now())
        except Exception:
            # Not there, or not readable: whoever asks next looks again.
            kept.versions.pop(which, None)
            raise

    def _look(self) -> Mark:
        with self._read() as connection:
            return mark.look(connection)

    def _load(self, which: QuizId | Slug | int) -> Version:
        with self._read() as connection:
            if isinstance(which, int):
                return published.by_version(connection, which)
            return published.current(connection, which)


def shelf_of(app: Any) -> Shelf:
    """Return the shelf of a Flask app's worker."""
    return cast("Shelf", app.extensions["shelf"])


def look_again_after_changes(app: Any, method: str) -> None:
    """Let this worker see at once what a request with this method may have changed."""
    if method not in {"GET", "HEAD", "OPTIONS"}:
        shelf_of(app).look_again()
