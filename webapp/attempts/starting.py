"""Starting: nothing is stored; the attempt is born with its first answer."""

from __future__ import annotations

import uuid

from webapp.attempts import tokens
from webapp.attempts.tokens import Claim
from webapp.errors import QuizNotOpenError
from webapp.quizzes.published import State, Version


def start(version: Version, player_id: uuid.UUID, player_name: str) -> Claim:
    """Begin an attempt at a version, at the database's time when the version was read.

    Raises:
        QuizNotOpenError: when it was not open then.
    """
    if version.state is State.UPCOMING:
        raise QuizNotOpenError(f"The quiz opens at {version.opens_at.isoformat()}.")
    if version.state is State.CLOSED:
        raise QuizNotOpenError(f"The quiz closed at {version.closes_at.isoformat()}.")
    return tokens.begin(version.version_id, player_id, player_name, version.now)
