from __future__ import annotations

from datetime import timedelta

from sqlalchemy import insert

from tests.make import make_quiz
from webapp.attempts import leaderboard, tokens
from webapp.attempts.models import Attempt
from webapp.pooling.work import Work
from webapp.quizzes.published import Version


def finished(work: Work, quiz: Version, *results: tuple[str, int | None, int | None]) -> None:
    rows = [
        {
            "id": tokens.begin(quiz.version_id, tokens.new_player(), name, quiz.now).attempt_id,
            "quiz_version_id": quiz.version_id,
            "player_id": tokens.new_player(),
            "player_name": name,
            "started_at": quiz.now,
            "finished_at": quiz.now + timedelta(seconds=1) if score is not None else None,
            "score": score,
            "milliseconds": milliseconds,
        }
        for name, score, milliseconds in results
    ]
    work.transact(lambda connection: connection.execute(insert(Attempt), rows) and None)


def test_more_points_lead_then_less_time_and_equals_share_a_rank(work: Work) -> None:
    quiz = make_quiz(work)
    finished(work, quiz, ("slow", 2, 900), ("best", 2, 300), ("same", 2, 300), ("low", 1, 100), ("playing", None, None))
    with work.read() as connection:
        places = leaderboard.top(connection, quiz.version_id)
        count = leaderboard.finished_count(connection, quiz.version_id)
    assert [(place.rank, place.player_name) for place in places] == [(1, "best"), (1, "same"), (3, "slow"), (4, "low")]
    assert count == 4


def test_a_rank_is_one_more_than_those_who_are_better(work: Work) -> None:
    quiz = make_quiz(work)
    finished(work, quiz, ("a", 2, 300), ("b", 2, 900), ("c", 1, 100))
    with work.read() as connection:
        ranks = [
            leaderboard.rank(connection, quiz.version_id, *result) for result in ((2, 300), (2, 900), (1, 100), (0, 1))
        ]
    assert ranks == [1, 2, 3, 4]


def test_a_board_knows_its_own_version_only_and_ends(work: Work) -> None:
    quiz, other = make_quiz(work), make_quiz(work)
    finished(work, other, ("elsewhere", 2, 1))
    finished(work, quiz, *((f"player {number}", 1, number) for number in range(120)))
    with work.read() as connection:
        places = leaderboard.top(connection, quiz.version_id, limit=1000)
    assert len(places) == 100
    assert "elsewhere" not in {place.player_name for place in places}
