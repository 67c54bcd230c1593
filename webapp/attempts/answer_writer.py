"""The one writer of a worker: answers and finishes of all its request threads, in group commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from poolproof.errors import PoolTimeoutError
from poolproof.transactions.group_commit import GroupCommit, ResultCallback
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts import answer_store, batch_writes
from webapp.attempts.answer_store import AttemptState
from webapp.attempts.batch_writes import FinishAttempt, SaveAnswers
from webapp.attempts.tokens import AttemptClaim
from webapp.errors import BusyError, QuizNotOpenError
from webapp.quizzes.documents import QuizDocument
from webapp.quizzes.published import PublishedVersion

MAX_CACHED = 50_000
"""Attempts known to have their row; some hundred bytes each."""
CLOSE_MARGIN = timedelta(seconds=2)
"""So long after a window's end nobody needs to ask the database, whose clock decides before."""

Entry = SaveAnswers | FinishAttempt


class AnswerWriter:
    """Stores what players send, and answers when it is committed."""

    def __init__(self, work: UnitOfWork, timeout: float, grace: int = 0) -> None:
        """Write on connections of `work`; a player waits `patience` seconds at most.

        So many seconds of `grace` after a window's end, what comes is still taken.
        """
        self._work = work
        self._grace = grace
        self._stored_attempts: dict[UUID, None] = {}
        self.group_commit: GroupCommit[Entry, AttemptState | None] = GroupCommit(
            "writer", self._write_batch, self._write_one, timeout
        )

    def save(self, claim: AttemptClaim, version: PublishedVersion, chosen: Mapping[int, int]) -> None:
        """Store answers (item → chosen bits), all or none; a repeat replaces the earlier choice.

        Raises:
            QuizNotOpenError, AttemptFinishedError, AttemptExistsError: as `answers.save`.
            BusyError: when it took too long.
        """
        entry = self.prepare_save(claim, version, chosen)
        if chosen:
            self.write(entry)

    def prepare_save(self, claim: AttemptClaim, version: PublishedVersion, chosen: Mapping[int, int]) -> SaveAnswers:
        """Return the entry for answers.

        Raises:
            QuizNotOpenError: when they are too late by far; closer to the end the database decides.
        """
        if version.now > version.closes_at + timedelta(seconds=self._grace) + CLOSE_MARGIN:
            raise QuizNotOpenError(answer_store.late_answer_message(version.closes_at))
        return SaveAnswers(claim, chosen)

    def finish(self, claim: AttemptClaim, document: QuizDocument) -> AttemptState:
        """Score the attempt and return it; the second time and ever after, return the first result.

        Raises:
            QuizNotOpenError, AttemptExistsError: as `finishing.finish`.
            BusyError: when it took too long.
        """
        progress = self.write(FinishAttempt(claim, document))
        assert progress is not None  # noqa: S101 - a finish has one
        return progress

    def write(self, entry: Entry) -> AttemptState | None:
        """Write an entry and return when it is committed; as `save` and `finish`."""
        try:
            return self.group_commit.submit(entry)
        except PoolTimeoutError as error:
            raise _busy_error() from error

    def write_async(self, entry: Entry, callback: ResultCallback[AttemptState | None]) -> None:
        """Write an entry, and say in another thread how that ended: what `write` would return or raise.

        Raises:
            BusyError: when too many wait already; nothing will be told.
        """

        def told(progress: AttemptState | None, error: BaseException | None) -> None:
            callback(progress, _busy_error() if isinstance(error, PoolTimeoutError) else error)

        try:
            self.group_commit.submit_async(entry, told)
        except PoolTimeoutError as error:
            raise _busy_error() from error

    def _write_batch(self, entries: Sequence[Entry]) -> Sequence[AttemptState | None]:
        saves = [entry for entry in entries if isinstance(entry, SaveAnswers)]
        finishes = [entry for entry in entries if isinstance(entry, FinishAttempt)]
        unborn = {
            one.claim.attempt_id: one.claim for one in entries if one.claim.attempt_id not in self._stored_attempts
        }
        if not unborn and not finishes:
            with self._work.autocommit() as connection:
                batch_writes.save(connection, saves, self._grace)
            return [None] * len(entries)
        progress = self._write_in_transaction(unborn, saves, finishes)
        self._remember_stored(unborn)
        return [progress.get(one.claim.attempt_id) if isinstance(one, FinishAttempt) else None for one in entries]

    def _write_in_transaction(
        self, new_attempts: Mapping[UUID, AttemptClaim], saves: Sequence[SaveAnswers], finishes: Sequence[FinishAttempt]
    ) -> dict[UUID, AttemptState]:
        with self._work.transaction() as connection:
            if new_attempts:
                batch_writes.ensure_rows(connection, new_attempts.values(), self._grace)
            if saves:
                batch_writes.save(connection, saves, self._grace)
            return batch_writes.finish(connection, finishes) if finishes else {}

    def _write_one(self, entry: Entry) -> AttemptState | None:
        if isinstance(entry, FinishAttempt):
            return self._work.run_in_transaction(
                lambda connection: answer_store.finish(connection, entry.claim, entry.document, self._grace),
                idempotent=True,
            )
        self._work.run_in_transaction(
            lambda connection: answer_store.save(connection, entry.claim, entry.chosen, self._grace), idempotent=True
        )
        return None

    def _remember_stored(self, attempts: Mapping[UUID, AttemptClaim]) -> None:
        self._stored_attempts.update(dict.fromkeys(attempts))
        for oldest in list(self._stored_attempts)[: max(0, len(self._stored_attempts) - MAX_CACHED)]:
            del self._stored_attempts[oldest]


def _busy_error() -> BusyError:
    return BusyError("It could not be stored in time, or not known to be. Send it again; that is safe.")
