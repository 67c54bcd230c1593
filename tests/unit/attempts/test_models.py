from __future__ import annotations

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts import tokens
from webapp.attempts.models import MAX_NAME_LENGTH, Attempt
from webapp.db.timestamps import utc_now


def test_a_player_has_one_attempt_at_a_version(work: UnitOfWork) -> None:
    player_id = tokens.new_player_id()

    def store(version_id: int) -> None:
        values = {"id": tokens.new_player_id(), "quiz_version_id": version_id, "player_id": player_id}
        with work.transaction() as connection:
            connection.execute(
                insert(Attempt).values(player_name="x" * MAX_NAME_LENGTH, started_at=utc_now(), **values)
            )

    store(1)
    store(2)
    with pytest.raises(IntegrityError):
        store(1)
