"""What a player does, through whichever door he comes: start, answer, finish, look at the board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from webapp.attempts import scoring, starting, tokens, views
from webapp.attempts.answers import Progress
from webapp.attempts.batches import Finish, Save
from webapp.attempts.board import Boards, Standings
from webapp.attempts.limits import Limits
from webapp.attempts.tokens import Claim
from webapp.attempts.views import AttemptView, Standing
from webapp.attempts.writer import Writer
from webapp.quizzes.published import QuizId, Slug, Version
from webapp.quizzes.shelf import Shelf


@dataclass(frozen=True)
class Started:
    """A new attempt and its tokens."""

    claim: Claim
    token: str
    player_token: str


@dataclass
class Playing:
    """The push's steps. None of them holds a connection of the request's."""

    shelf: Shelf
    boards: Boards
    writer: Writer
    limits: Limits
    key: str
    """Signs the tokens."""
    good_for: int
    """Seconds that an attempt's token is good."""

    def claim(self, token: str) -> Claim:
        """Return what an attempt's token says.

        Raises:
            NotFoundError: when it is not ours, was changed, or is too old.
        """
        return tokens.read(token, self.key, self.good_for)

    def claim_to_write(self, token: str) -> Claim:
        """Return what an attempt's token says, and count a write of its player.

        Raises:
            NotFoundError: as `claim`.
            QuotaExceededError: when the player writes too often.
        """
        claim = self.claim(token)
        self.limits.take(claim.player_id)
        return claim

    def at_hand(self, token: str) -> Version | None:
        """Return the version of an attempt where it is in memory and was looked after just now; None otherwise.

        Raises:
            NotFoundError: as `claim`.
        """
        return self.shelf.at_hand(self.claim(token).version_id)

    def start(self, which: QuizId | Slug, name: str, player: UUID | None) -> Started:
        """Start an attempt at an open quiz, for this player or for a new one. Nothing is stored yet.

        Raises:
            NotFoundError: when there is no such quiz.
            QuizNotOpenError: outside of its window.
        """
        player_id = player or tokens.new_player()
        claim = starting.start(self.shelf.current(which), player_id, name)
        return Started(claim, tokens.issue(claim, self.key), tokens.issue_player(player_id, self.key))

    def to_answer(self, token: str, item_id: int, choices: Sequence[int], version: Version | None = None) -> Save:
        """Return what is to be written for an answer; with what `at_hand` has returned, nothing is read for it.

        Raises:
            NotFoundError, InvalidInputError: when the token, the item or a choice is not of the quiz.
            QuizNotOpenError: when it is too late by far.
            QuotaExceededError: when the player writes too often.
        """
        claim = self.claim_to_write(token)
        if version is None:
            version = self.shelf.by_version(claim.version_id)
        return self.writer.to_save(
            claim, version, {item_id: scoring.as_bits(version.document.question(item_id), choices)}
        )

    def answer(self, token: str, item_id: int, choices: Sequence[int]) -> list[int]:
        """Store an answer; return the positions that are stored.

        Raises:
            NotFoundError, InvalidInputError: as `to_answer`.
            QuizNotOpenError, AttemptFinishedError, AttemptExistsError, BusyError: as `Writer.save`.
        """
        entry = self.to_answer(token, item_id, choices)
        self.writer.write(entry)
        return scoring.as_positions(entry.chosen[item_id])

    def to_finish(self, token: str) -> Finish:
        """Return what is to be written to finish.

        Raises:
            NotFoundError: when the token is not good.
            QuotaExceededError: when the player writes too often.
        """
        claim = self.claim_to_write(token)
        return Finish(claim, self.shelf.by_version(claim.version_id).document)

    def finish(self, token: str) -> AttemptView:
        """Finish and score; the second time and ever after, return the first result.

        Raises:
            NotFoundError, QuizNotOpenError, AttemptExistsError, BusyError: as `Writer.finish`.
        """
        entry = self.to_finish(token)
        return self.finished(entry.claim, self.writer.finish(entry.claim, entry.document))

    def finished(self, claim: Claim, progress: Progress) -> AttemptView:
        """Return a finished attempt with its place on the board."""
        version = self.shelf.by_version(claim.version_id)
        place = views.rank(self.boards.standings(claim.version_id), progress)
        return views.view(claim, Standing(version, progress), place)

    def board(self, which: QuizId | Slug) -> tuple[Version, Standings]:
        """Return the board of a quiz's latest version.

        Raises:
            NotFoundError: when there is no such quiz.
        """
        version = self.shelf.current(which)
        return version, self.boards.standings(version.version_id)


def playing_of(app: Any) -> Playing:
    """Return what a Flask app's worker plays with."""
    return cast("Playing", app.extensions["playing"])
