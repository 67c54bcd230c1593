"""The one writer of a worker: answers and finishes of all its request threads, in group commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from webapp.attempts import answers, batches, finishing
from webapp.attempts.answers import Progress
from webapp.attempts.batches import Finish, Save
from webapp.attempts.tokens import Claim
from webapp.errors import BusyError, QuizNotOpenError
from webapp.pooling.errors import PoolTimeoutError
from webapp.pooling.groupcommit import GroupCommit, Then
from webapp.pooling.work import Work
from webapp.quizzes.documents import Document
from webapp.quizzes.published import Version

REMEMBERED = 50_000
"""Attempts known to have their row; some hundred bytes each."""
CERTAINLY = timedelta(seconds=2)
"""So long after a window's end nobody needs to ask the database, whose clock decides before."""

Entry = Save | Finish


class Writer:
    """Stores what players send, and answers when it is committed."""

    def __init__(self, work: Work, patience: float, grace: int = 0) -> None:
        """Write on connections of `work`; a player waits `patience` seconds at most.

        So many seconds of `grace` after a window's end, what comes is still taken.
        """
        self._work = work
        self._grace = grace
        self._born: dict[UUID, None] = {}
        self.group: GroupCommit[Entry, Progress | None] = GroupCommit(
            "writer", self._write, self._write_alone, patience
        )

    def save(self, claim: Claim, version: Version, chosen: Mapping[int, int]) -> None:
        """Store answers (item → chosen bits), all or none; a repeat replaces the earlier choice.

        Raises:
            QuizNotOpenError, AttemptFinishedError, AttemptExistsError: as `answers.save`.
            BusyError: when it took too long.
        """
        entry = self.to_save(claim, version, chosen)
        if chosen:
            self.write(entry)

    def to_save(self, claim: Claim, version: Version, chosen: Mapping[int, int]) -> Save:
        """Return the entry for answers.

        Raises:
            QuizNotOpenError: when they are too late by far; closer to the end the database decides.
        """
        if version.now > version.closes_at + timedelta(seconds=self._grace) + CERTAINLY:
            raise QuizNotOpenError(answers.too_late(version.closes_at))
        return Save(claim, chosen)

    def finish(self, claim: Claim, document: Document) -> Progress:
        """Score the attempt and return it; the second time and ever after, return the first result.

        Raises:
            QuizNotOpenError, AttemptExistsError: as `finishing.finish`.
            BusyError: when it took too long.
        """
        progress = self.write(Finish(claim, document))
        assert progress is not None  # noqa: S101 - a finish has one
        return progress

    def write(self, entry: Entry) -> Progress | None:
        """Write an entry and return when it is committed; as `save` and `finish`."""
        try:
            return self.group.submit(entry)
        except PoolTimeoutError as error:
            raise _busy() from error

    def write_and_tell(self, entry: Entry, then: Then[Progress | None]) -> None:
        """Write an entry, and say in another thread how that ended: what `write` would return or raise.

        Raises:
            BusyError: when too many wait already; nothing will be told.
        """

        def told(progress: Progress | None, error: BaseException | None) -> None:
            then(progress, _busy() if isinstance(error, PoolTimeoutError) else error)

        try:
            self.group.submit_and_tell(entry, told)
        except PoolTimeoutError as error:
            raise _busy() from error

    def _write(self, entries: Sequence[Entry]) -> Sequence[Progress | None]:
        saves = [entry for entry in entries if isinstance(entry, Save)]
        finishes = [entry for entry in entries if isinstance(entry, Finish)]
        unborn = {one.claim.attempt_id: one.claim for one in entries if one.claim.attempt_id not in self._born}
        if not unborn and not finishes:
            with self._work.at_once() as connection:
                batches.save(connection, saves, self._grace)
            return [None] * len(entries)
        progress = self._transact(unborn, saves, finishes)
        self._remember(unborn)
        return [progress.get(one.claim.attempt_id) if isinstance(one, Finish) else None for one in entries]

    def _transact(
        self, unborn: Mapping[UUID, Claim], saves: Sequence[Save], finishes: Sequence[Finish]
    ) -> dict[UUID, Progress]:
        with self._work.transaction() as connection:
            if unborn:
                batches.be_born(connection, unborn.values(), self._grace)
            if saves:
                batches.save(connection, saves, self._grace)
            return batches.finish(connection, finishes) if finishes else {}

    def _write_alone(self, entry: Entry) -> Progress | None:
        if isinstance(entry, Finish):
            return self._work.transact(
                lambda connection: finishing.finish(connection, entry.claim, entry.document, self._grace),
                idempotent=True,
            )
        self._work.transact(
            lambda connection: answers.save(connection, entry.claim, entry.chosen, self._grace), idempotent=True
        )
        return None

    def _remember(self, born: Mapping[UUID, Claim]) -> None:
        self._born.update(dict.fromkeys(born))
        for oldest in list(self._born)[: max(0, len(self._born) - REMEMBERED)]:
            del self._born[oldest]


def _busy() -> BusyError:
    return BusyError("It could not be stored in time, or not known to be. Send it again; that is safe.")
