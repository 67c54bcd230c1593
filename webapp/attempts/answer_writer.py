"""The writer of a worker: stores the answers and finishes of all its request threads in group commits."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from datetime import timedelta
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from poolproof.drivers.errors import is_lock_wait_timeout, is_transient
from poolproof.errors import PoolQueueFullError, PoolTimeoutError
from poolproof.transactions import outcomes
from poolproof.transactions.group_commit import GroupCommit
from poolproof.transactions.outcomes import WriteOutcome
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts import batch_writes
from webapp.attempts.answer_store import AttemptState
from webapp.attempts.batch_writes import FinishAttempt, SaveAnswers
from webapp.attempts.entry_batch import Entry, EntryBatch
from webapp.attempts.lock_probe import find_locked_attempts
from webapp.attempts.recent_ids import RecentIds
from webapp.attempts.refusals import blocked_error, finished_error
from webapp.attempts.time_limits import CLOSE_MARGIN
from webapp.attempts.tokens import AttemptClaim
from webapp.db import cluster
from webapp.db.server_clock import ServerClock
from webapp.db.timestamps import database_now
from webapp.errors import BusyError
from webapp.messages import join_messages, message
from webapp.quizzes import published
from webapp.quizzes.documents import QuizDocument
from webapp.quizzes.published import PublishedVersion

MAX_STORED = 50_000
"""Attempts that are known to have their row."""
MAX_FINISHED = 10_000
"""Attempts that are known to be finished: their answers are refused without the database."""
CLOCK_READINGS = 3
PROBE_TIME = 10.0
"""Seconds after a wait for a lock that took too long, for which each batch asks first which of its rows are locked."""

REPEAT = message("Send it again; that is safe.")


class AnswerWriter:
    """Stores what players send, and returns when it is committed."""

    def __init__(self, work: UnitOfWork, timeout: float, grace: int = 0, *, counts_batches: bool | None = None) -> None:
        """Write on connections of `work`; a request waits at most `timeout` seconds for its commit.

        For `grace` seconds after the end of a window, answers and finishes are still accepted. With `counts_batches`
        each batch changes the rows of its attempts (see `EntryBatch.write`); None: where the server is a node of a
        cluster that needs it.
        """
        self._work = work
        self._grace = grace
        self._refuses_after = timedelta(seconds=grace) + CLOSE_MARGIN
        self._counts_batches = counts_batches
        self._clock = ServerClock()
        self._probes_until = 0.0
        self._stored_attempts = RecentIds(MAX_STORED)
        self._finished_attempts = RecentIds(MAX_FINISHED)
        self.group_commit: GroupCommit[Entry, AttemptState | None] = GroupCommit("writer", self._write_batch, timeout)

    def save(self, claim: AttemptClaim, version: PublishedVersion, chosen: Mapping[int, int]) -> None:
        """Store answers (item → chosen bits), all or none; a newer choice replaces an older one.

        The statement that writes also checks the window and the attempt's finish, on the database's clock, so that no
        time passes between check and write.

        Raises:
            QuizNotOpenError: before the window opens and from its last moment on.
            AttemptFinishedError: when the attempt has been scored.
            AttemptExistsError: when the player has begun another attempt at this version.
            BusyError: when it was not committed in time.
        """
        entry = self.prepare_save(claim, version, chosen)
        if chosen:
            self.write(entry)

    def prepare_save(
        self, claim: AttemptClaim, version: PublishedVersion, chosen: Mapping[int, int], sequence: int | None = None
    ) -> SaveAnswers:
        """Return the entry for answers that arrive now; `sequence` is the client's own number of them.

        Raises:
            QuizNotOpenError: when they are too late beyond doubt; near the end the database's clock decides.
            AttemptFinishedError: when this worker knows that the attempt has been scored.
        """
        if self.knows_finished(claim.attempt_id):
            raise finished_error()
        closes_at = version.rules.closes_at
        if closes_at is not None and version.now >= closes_at + self._refuses_after:
            raise published.too_late_error(closes_at)
        return SaveAnswers(claim, chosen, sequence)

    def knows_finished(self, attempt_id: UUID) -> bool:
        """Say whether this worker knows that an attempt is finished."""
        return attempt_id in self._finished_attempts.ids

    def forget(self, attempt_id: UUID) -> None:
        """Forget what is known of an attempt, which was erased: the database says what became of it."""
        self._finished_attempts.discard([attempt_id])

    def finish(self, claim: AttemptClaim, document: QuizDocument) -> AttemptState:
        """Score the attempt and return it; every further call returns the first result.

        Answers that were stored in time count also when the quiz has closed since; but an attempt without a row cannot
        be stored after the window and its grace.

        Raises:
            QuizNotOpenError: when there is nothing to score and the window is not open.
            AttemptExistsError: when the player has begun another attempt at this version.
            BusyError: when it was not committed in time.
        """
        state = self.write(FinishAttempt(claim, document))
        assert state is not None  # noqa: S101 - a finish has one
        return state

    def write(self, entry: Entry) -> AttemptState | None:
        """Write an entry and return when it is committed; raises what `save` and `finish` raise."""
        try:
            state = self.group_commit.submit(entry)
        except (PoolTimeoutError, DBAPIError) as error:
            raise _as_busy(error) from error
        outcomes.record_committed()
        return state

    def submit(self, entry: Entry) -> Future[AttemptState | None]:
        """Write an entry; the future, which another thread completes, has what `write` would return or raise.

        Raises:
            BusyError: when too many entries wait already.
        """
        future: Future[AttemptState | None] = Future()

        def complete(state: AttemptState | None, error: BaseException | None) -> None:
            if error is None:
                future.set_result(state)
            else:
                future.set_exception(_as_busy(error))

        try:
            self.group_commit.submit_async(entry, complete)
        except PoolTimeoutError as error:
            raise _as_busy(error) from error
        return future

    def _write_batch(self, entries: Sequence[Entry]) -> Sequence[AttemptState | Exception | None]:
        """Write entries with one commit; return the outcome of each."""
        if not self._clock.is_known():
            self._learn_server()
        if time.monotonic() < self._probes_until:
            return self._write_unlocked(entries)
        try:
            return self._write_all(entries)
        except DBAPIError as error:
            if not is_lock_wait_timeout(error):
                raise
            # Whoever was blocked will send it again: for a while no batch waits for what can be found out before.
            self._probes_until = time.monotonic() + PROBE_TIME
            return self._write_unlocked(entries)

    def _write_unlocked(self, entries: Sequence[Entry]) -> Sequence[AttemptState | Exception | None]:
        """Write the entries whose rows nobody has locked; the others are blocked."""
        with self._work.autocommit() as connection:
            locked = find_locked_attempts(connection, entries)
        free = [entry for entry in entries if entry.claim.attempt_id not in locked]
        outcomes = iter(self._write_all(free) if free else ())
        return [blocked_error() if entry.claim.attempt_id in locked else next(outcomes) for entry in entries]

    def _write_all(self, entries: Sequence[Entry]) -> Sequence[AttemptState | Exception | None]:
        batch = EntryBatch(entries, self._clock, self._grace)
        new_attempts = [claim for claim in batch.claims.values() if claim.attempt_id not in self._stored_attempts.ids]
        if new_attempts or batch.finishes or self._counts_batches:
            with self._work.transaction() as connection:
                if new_attempts:
                    batch_writes.ensure_rows(connection, new_attempts, self._grace)
                batch.write(connection, counts_batches=bool(self._counts_batches))
        else:
            # Answers alone are one statement, and that is a transaction of its own.
            with self._work.autocommit() as connection:
                batch.save(connection)
        self._finished_attempts.add(batch.finished_attempts())
        self._stored_attempts.add(batch.claims.keys())
        self._stored_attempts.discard(batch.attempts_without_row())
        return [batch.outcome(entry) for entry in entries]

    def _learn_server(self) -> None:
        with self._work.read() as connection:
            if self._counts_batches is None:
                self._counts_batches = cluster.row_locks_are_local(connection)
            # More than once: a reading that took long, because the process stood still, is corrected by the next.
            for _ in range(CLOCK_READINGS):
                sent_at = time.monotonic()
                self._clock.record(database_now(connection), sent_at, time.monotonic())


def _as_busy(error: BaseException) -> BaseException:
    """Return what a caller is told of an error of the group commit: what is known of its entry, where it may repeat."""
    if isinstance(error, PoolQueueFullError):
        return BusyError(
            "Too many answers wait to be stored.", "Nothing was stored; send it again.", WriteOutcome.NOT_DONE
        )
    if isinstance(error, PoolTimeoutError):
        return BusyError("It was not confirmed as stored in time.", REPEAT, WriteOutcome.UNKNOWN)
    if is_transient(error):
        # An earlier attempt of its batch may have been committed unseen.
        return BusyError(
            "The database cannot be reached just now.",
            join_messages(message("It may be stored or not."), REPEAT),
            WriteOutcome.UNKNOWN,
        )
    return error
