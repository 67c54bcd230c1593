"""Scores the attempts of a version whose time is over when its results are first read, once for each closing."""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta
from math import inf

from sqlalchemy.exc import SQLAlchemyError

from poolproof.runtime import fork
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts import overdue
from webapp.attempts.time_limits import TimeLimits
from webapp.attempts.tokens import AttemptClaim
from webapp.quizzes.published import PublishedVersion
from webapp.quizzes.rules import QuizRules

log = logging.getLogger(__name__)

GIVEN_UP_INTERVAL = 60.0
"""Seconds between two looks for attempts that were given up in a quiz without an end."""
TIME_OVER_INTERVAL = 5.0
"""Seconds between two looks for attempts whose own time is over."""
RETRY_INTERVAL = 1.0
"""Seconds until the next look, when another session still works on some attempts or the database does not serve."""
MAX_BATCHES = 40
"""Batches that one request waits for; the next one goes on."""
MAX_KNOWN = 1000

Key = tuple[int, QuizRules]
"""A version under the rules that it has: with a new end it is looked at anew."""


class OverdueScorer:
    """Remembers in this worker's memory which versions have nothing left to score."""

    def __init__(self, work: UnitOfWork, limits: TimeLimits) -> None:
        """Work in transactions of `work`, when there is something to score."""
        self._work = work
        self._limits = limits
        self._next_at: dict[Key, float] = {}
        self.reset_after_fork()
        fork.track(self, fork.Phase.LOCKS)

    def settle(self, version: PublishedVersion, wait: float = 0.0) -> bool:
        """Score what is overdue at a version; say whether results may have changed, so that they are read anew.

        Without a statement while no attempt's time can be over, and once nothing is left. While one thread does it,
        others return after `wait` seconds and see the results as they are.
        """
        if not self._is_due(version) or not self._lock.acquire(timeout=wait):
            return False
        try:
            return self._is_due(version) and self._settle(version)
        except SQLAlchemyError as error:
            log.warning("Attempts whose time is over could not be scored now: %s", type(error).__name__)
            self._set_next(version, RETRY_INTERVAL)
            return False
        finally:
            self._lock.release()

    def score_attempt(self, claim: AttemptClaim, version: PublishedVersion) -> None:
        """Score this attempt, if its time is over and it was not scored."""
        self._work.run_in_transaction(
            lambda connection: overdue.score_batch(connection, version, self._limits, claim.attempt_id),
            idempotent=True,
        )

    def reset_after_fork(self) -> None:
        """Replace the lock, which a thread of the parent may have held at the fork."""
        # Held by the one thread that scores; the others go on.
        self._lock = threading.Lock()

    def _settle(self, version: PublishedVersion) -> bool:
        for _ in range(MAX_BATCHES):
            scored = self._work.run_in_transaction(
                lambda connection: overdue.score_batch(connection, version, self._limits), idempotent=True
            )
            if scored < overdue.MAX_BATCH:
                break
        if not version.rules.has_closed(version.now, timedelta(seconds=self._limits.grace)):
            has_time_limit = version.rules.time_limit is not None
            self._set_next(version, TIME_OVER_INTERVAL if has_time_limit else GIVEN_UP_INTERVAL)
            return scored > 0
        with self._work.read() as connection:
            is_left = overdue.has_unscored(connection, version, self._limits)
        self._set_next(version, RETRY_INTERVAL if is_left else inf)
        # Also where another worker has scored them: what this one remembers was read before.
        return True

    def _is_due(self, version: PublishedVersion) -> bool:
        if version.closes_at is not None and not self._limits.is_over(version.opens_at, version):
            return False
        return time.monotonic() >= self._next_at.get((version.version_id, version.rules), 0.0)

    def _set_next(self, version: PublishedVersion, seconds: float) -> None:
        if len(self._next_at) >= MAX_KNOWN:
            self._next_at = {}
        self._next_at[version.version_id, version.rules] = time.monotonic() + seconds
