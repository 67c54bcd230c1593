"""The writer of a worker: stores the answers and finishes of all its request threads in group commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from poolproof.drivers.mysql.errors import is_transient
from poolproof.errors import PoolQueueFullError, PoolTimeoutError
from poolproof.transactions import outcomes
from poolproof.transactions.group_commit import GroupCommit, ResultCallback
from poolproof.transactions.outcomes import WriteOutcome
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts import answer_store, batch_writes
from webapp.attempts.answer_store import AttemptState
from webapp.attempts.batch_writes import FinishAttempt, SaveAnswers
from webapp.attempts.tokens import AttemptClaim
from webapp.errors import BusyError
from webapp.quizzes import published
from webapp.quizzes.documents import QuizDocument
from webapp.quizzes.published import PublishedVersion

MAX_CACHED = 50_000
"""Attempts that are known to have their row; about a hundred bytes each."""
CLOSE_MARGIN = timedelta(seconds=2)
"""So long after the end of a window answers are refused without the database, whose clock decides until then."""

REPEAT = "Send it again; that is safe."

Entry = SaveAnswers | FinishAttempt


class AnswerWriter:
    """Stores what players send, and returns when it is committed."""

    def __init__(self, work: UnitOfWork, timeout: float, grace: int = 0) -> None:
        """Write on connections of `work`; a request waits at most `timeout` seconds for its commit.

        For `grace` seconds after the end of a window, answers and finishes are still accepted.
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
            QuizNotOpenError, AttemptFinishedError, AttemptExistsError: as `answer_store.save`.
            BusyError: when it was not committed in time.
        """
        entry = self.prepare_save(claim, version, chosen)
        if chosen:
            self.write(entry)

    def prepare_save(self, claim: AttemptClaim, version: PublishedVersion, chosen: Mapping[int, int]) -> SaveAnswers:
        """Return the entry for answers.

        Raises:
            QuizNotOpenError: when they are too late beyond doubt; near the end the database's clock decides.
        """
        if version.now > version.closes_at + timedelta(seconds=self._grace) + CLOSE_MARGIN:
            raise published.too_late_error(version.closes_at)
        return SaveAnswers(claim, chosen)

    def finish(self, claim: AttemptClaim, document: QuizDocument) -> AttemptState:
        """Score the attempt and return it; every further call returns the first result.

        Raises:
            QuizNotOpenError, AttemptExistsError: as `answer_store.finish`.
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

    def write_async(self, entry: Entry, callback: ResultCallback[AttemptState | None]) -> None:
        """Write an entry; `callback` gets in another thread what `write` would return or raise.

        Raises:
            BusyError: when too many entries wait already; `callback` is not called.
        """

        def on_result(state: AttemptState | None, error: BaseException | None) -> None:
            callback(state, error if error is None else _as_busy(error))

        try:
            self.group_commit.submit_async(entry, on_result)
        except PoolTimeoutError as error:
            raise _as_busy(error) from error

    def _write_batch(self, entries: Sequence[Entry]) -> Sequence[AttemptState | None]:
        saves = [entry for entry in entries if isinstance(entry, SaveAnswers)]
        finishes = [entry for entry in entries if isinstance(entry, FinishAttempt)]
        claims = {entry.claim.attempt_id: entry.claim for entry in entries}
        new_attempts = {key: claim for key, claim in claims.items() if key not in self._stored_attempts}
        if not new_attempts and not finishes:
            with self._work.autocommit() as connection:
                batch_writes.save(connection, saves, self._grace)
            return [None] * len(entries)
        states = self._write_in_transaction(new_attempts, saves, finishes)
        self._remember_stored(new_attempts)
        return [states.get(entry.claim.attempt_id) if isinstance(entry, FinishAttempt) else None for entry in entries]

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
            "The database cannot be reached just now.", f"It may be stored or not. {REPEAT}", WriteOutcome.UNKNOWN
        )
    return error
