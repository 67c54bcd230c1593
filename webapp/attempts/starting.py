"""Starting: nothing is stored; the attempt is born with its first answer."""

from __future__ import annotations

import uuid

from webapp.attempts import tokens
from webapp.attempts.tokens import AttemptClaim
from webapp.errors import QuizNotOpenError
from webapp.quizzes.published import PublishedVersion, QuizState


def begin_attempt(version: PublishedVersion, player_id: uuid.UUID, player_name: str) -> AttemptClaim:
    """Begin an attempt at a version, at the database's time when the version was read.

    Raises:
        QuizNotOpenError: when it was not open then.
    """
    if version.state is QuizState.UPCOMING:
        raise QuizNotOpenError(f"The quiz opens at {version.opens_at.isoformat()}.")
    if version.state is QuizState.CLOSED:
        raise QuizNotOpenError(f"The quiz closed at {version.closes_at.isoformat()}.")
    return tokens.new_claim(version.version_id, player_id, player_name, version.now)
