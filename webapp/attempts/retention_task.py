"""Deletes attempts whose period is over: one worker of all does it, once an hour, and gives way to players.

It borrows the connections of the background lane, whose waits never take one from a request of a player, holds each for
one small transaction, and rests after it: four times as long as the transaction took, and longer while the machine is
busy. So it never takes more than a fifth of a connection.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from poolproof.runtime import fork
from poolproof.runtime.periodic_thread import PeriodicThread
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts import retention
from webapp.attempts.time_limits import TimeLimits
from webapp.quizzes.ended_versions import list_ended

log = logging.getLogger(__name__)

INTERVAL = 3600
"""Seconds between two rounds, of whichever worker."""
LOOK_INTERVAL = 600.0
"""Seconds between two looks of a worker whether a round is due."""
FIRST_LOOK = 60.0
"""Seconds from the start of a worker to its first look: a start opens no connection, and starts often come together."""
RETRY_INTERVAL = 60.0
PAUSE_FACTOR = 4.0
"""How long it rests after a batch, as a multiple of the batch."""
VERSIONS = 50
"""Versions that one read looks up."""


WaitWhileBusy = Callable[[Callable[[], bool]], float]
"""Returns when the machine has time for a further batch, or its argument says that the task is to end."""


def _never_wait(_: Callable[[], bool]) -> float:
    return 0.0


class RetentionTask:
    """The task of one worker."""

    def __init__(
        self,
        work: UnitOfWork,
        limits: TimeLimits,
        make_wait: Callable[[], WaitWhileBusy] = lambda: _never_wait,
        first_look: float = FIRST_LOOK,
    ) -> None:
        """Start nothing yet; `make_wait` is called when a round begins, and begins to observe the load."""
        self._first_look = first_look
        self._work = work
        self._limits = limits
        self._make_wait = make_wait
        self._thread = PeriodicThread("poolproof-retention", self._run_if_due)
        self.reset_after_fork()
        fork.track(self, fork.Phase.LOCKS)

    def start(self) -> None:
        """Begin in a thread of this process; to be called in a worker, after the fork."""
        self._thread.ensure_running()

    def stop(self) -> None:
        """End after the present batch."""
        self._is_stopping.set()
        self._thread.stop()

    def reset_after_fork(self) -> None:
        """Forget that the parent was to stop, and what it had begun."""
        self._is_stopping = threading.Event()
        self._has_begun = False

    def run_once(self) -> int:
        """Delete all that is due now; return how many attempts were deleted."""
        deleted, after, wait = 0, 0, self._make_wait()
        while not self._is_stopping.is_set():
            with self._work.read() as connection:
                versions = list_ended(connection, self._limits.keep_days, after, VERSIONS)
            for version_id in versions:
                deleted += self._delete_of(version_id, wait)
            if len(versions) < VERSIONS:
                break
            after = versions[-1]
        return deleted

    def _run_if_due(self) -> float:
        if not self._has_begun:
            self._has_begun = True
            return self._first_look
        try:
            is_mine = self._work.run_in_transaction(lambda connection: retention.claim(connection, INTERVAL))
            if is_mine and (deleted := self.run_once()):
                log.info("%s attempts were deleted, whose period was over", deleted)
        except SQLAlchemyError as error:
            log.warning("Attempts whose period is over could not be deleted now: %s", type(error).__name__)
            return RETRY_INTERVAL
        return LOOK_INTERVAL

    def _delete_of(self, version_id: int, wait: WaitWhileBusy) -> int:
        deleted = 0
        while not self._is_stopping.is_set():
            wait(self._is_stopping.is_set)
            began_at = time.monotonic()
            count = self._work.run_in_transaction(
                lambda connection: retention.delete_batch(connection, version_id, self._limits)
            )
            deleted += count
            if count < retention.MAX_BATCH:
                break
            self._is_stopping.wait(PAUSE_FACTOR * (time.monotonic() - began_at))
        return deleted
