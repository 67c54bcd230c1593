"""The entries of one commit: what is written for them, and the outcome of each."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

from webapp.attempts import batch_writes
from webapp.attempts.answer_batch import AnswerBatch, AnswerKey
from webapp.attempts.answer_store import AttemptState
from webapp.attempts.batch_writes import FinishAttempt, SaveAnswers
from webapp.attempts.refusals import Refusals, find_refusals
from webapp.db.server_clock import ServerClock

Entry = SaveAnswers | FinishAttempt


class EntryBatch:
    """Saves and finishes of many players. Of one attempt the saves come before the finish."""

    def __init__(self, entries: Sequence[Entry], clock: ServerClock, grace: int) -> None:
        """Write nothing yet; for `grace` seconds after the end of a window, entries are still accepted."""
        self.claims = {entry.claim.attempt_id: entry.claim for entry in entries}
        self.finishes = [entry for entry in entries if isinstance(entry, FinishAttempt)]
        self._save_entries = [entry for entry in entries if isinstance(entry, SaveAnswers)]
        self._clock = clock
        self._grace = grace
        self._answer_batch = AnswerBatch(self._save_entries, clock)
        self._unsaved: set[AnswerKey] = set()
        self._states: dict[UUID, AttemptState] = {}
        self._refusals = Refusals({})

    def save(self, connection: Connection) -> None:
        """Save the answers of a batch that has no finish and no new attempt; each statement stands for itself."""
        self._answer_batch.save(connection, self._grace)
        self._find_refusals(connection)

    def write(self, connection: Connection, *, counts_batches: bool) -> None:
        """Save and finish in the transaction of this connection.

        With `counts_batches` the rows of all attempts are locked and changed, so that a finish on another node, which
        does not see the locks of this one, conflicts with this transaction.
        """
        to_lock = {
            entry.claim.attempt_id for entry in (*self.finishes, *(self._save_entries if counts_batches else ()))
        }
        locked = batch_writes.lock_attempts(connection, to_lock) if to_lock else set()
        answers, finishes = self._answer_batch, [entry for entry in self.finishes if entry.claim.attempt_id in locked]
        if counts_batches:
            saves = [entry for entry in self._save_entries if entry.claim.attempt_id in locked]
            answers = AnswerBatch(saves, self._clock)
            batch_writes.count_batch(connection, {entry.claim.attempt_id for entry in saves})
        if self._save_entries:
            answers.save(connection, self._grace)
        if finishes:
            self._states = batch_writes.finish(connection, finishes)
        self._find_refusals(connection)

    def outcome(self, entry: Entry) -> AttemptState | Exception | None:
        """Return the result of an entry (a finish has a state), or why it was not written."""
        attempt_id = entry.claim.attempt_id
        if isinstance(entry, FinishAttempt):
            return self._states.get(attempt_id) or self._refusals.of_finish(attempt_id)
        if any((attempt_id, item) in self._unsaved for item in entry.chosen):
            return self._refusals.of_save(attempt_id)
        return None

    def finished_attempts(self) -> set[UUID]:
        """Return the attempts that are known to be finished once the batch is committed."""
        return self._states.keys() | self._refusals.finished()

    def attempts_without_row(self) -> set[UUID]:
        """Return the attempts that are not stored."""
        return self._refusals.without_row()

    def _find_refusals(self, connection: Connection) -> None:
        if self._save_entries:
            self._unsaved = self._answer_batch.find_unsaved(connection)
        missing = {attempt_id for attempt_id, _ in self._unsaved}
        missing |= {entry.claim.attempt_id for entry in self.finishes} - self._states.keys()
        if missing:
            self._refusals = find_refusals(connection, [self.claims[attempt_id] for attempt_id in missing], self._grace)
