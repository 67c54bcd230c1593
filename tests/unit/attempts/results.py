"""Attempts with a result, stored without being played."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from uuid import UUID

from sqlalchemy import insert

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts import tokens
from webapp.attempts.models import Attempt
from webapp.quizzes.published import PublishedVersion

_numbers = count(1)
"""Ids in the order of the results: equal ones are shown in it."""


def store_results(work: UnitOfWork, quiz: PublishedVersion, *results: tuple[str, int | None, int | None]) -> None:
    """Store attempts of new players: name, score and milliseconds; without a score it is not finished."""
    rows = [
        {
            "id": UUID(int=next(_numbers)),
            "quiz_version_id": quiz.version_id,
            "player_id": tokens.new_player_id(),
            "player_name": name,
            "started_at": quiz.now,
            "finished_at": quiz.now + timedelta(seconds=1) if score is not None else None,
            "score": score,
            "milliseconds": milliseconds,
        }
        for name, score, milliseconds in results
    ]
    work.run_in_transaction(lambda connection: connection.execute(insert(Attempt), rows) and None)
