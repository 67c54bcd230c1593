from __future__ import annotations

from uuid import uuid4

import pytest

from tests.unit.attempts.test_presenter import CLAIM, NOW, VERSION
from webapp.attempts.answer_store import AttemptState
from webapp.attempts.leaderboard import RankedResult
from webapp.attempts.leaderboard_cache import Leaderboard
from webapp.attempts.presenter import AttemptSnapshot, build_view
from webapp.attempts.schemas import AttemptOut, LeaderboardOut
from webapp.attempts.serializers import dump_attempt, dump_leaderboard


@pytest.mark.parametrize("finished", [False, True])
def test_an_attempt_has_the_fields_of_its_schema_and_right_answers_only_at_the_end(*, finished: bool) -> None:
    state = AttemptState({5: 0b100}, NOW, 0, 1000) if finished else AttemptState({5: 0b100}, None, None, None)
    body = dump_attempt(build_view(CLAIM, AttemptSnapshot(VERSION, state, shows_answers=True), None))
    assert body.keys() == AttemptOut().fields.keys()
    (question,) = body["questions"]
    assert (question["choices"], question["chosen"]) == (["a", "b", "c"], [2])
    assert ({"right", "is_right", "explanation"} <= question.keys()) is finished


def test_a_leaderboard_is_cut_and_says_how_many_finished() -> None:
    places = [RankedResult(rank, uuid4(), "Ada", 1, 100 * rank) for rank in (1, 2, 3)]
    body = dump_leaderboard(7, VERSION, Leaderboard([], 3, places), 2)
    assert body.keys() == LeaderboardOut().fields.keys()
    assert ([place["rank"] for place in body["places"]], body["finished"]) == ([1, 2], 3)
