from __future__ import annotations

from datetime import timedelta

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.unit.attempts.results import store_results
from webapp.attempts import leaderboard
from webapp.lab.factories import make_quiz


def test_the_first_places_are_by_score_and_then_by_time(work: UnitOfWork) -> None:
    quiz = make_quiz(work)
    store_results(
        work, quiz, ("slow", 2, 900), ("best", 2, 300), ("same", 2, 300), ("low", 1, 1), ("plays", None, None)
    )
    with work.read() as connection:
        places = leaderboard.top_places(connection, quiz.version_id, 3)
        count = leaderboard.count_finished(connection, quiz.version_id)
    assert [(place.rank, place.milliseconds) for place in places] == [(1, 300), (1, 300), (3, 900)]
    assert count == 4


def test_only_what_finished_since_is_read_again(work: UnitOfWork) -> None:
    quiz = make_quiz(work)
    store_results(work, quiz, ("Ada", 1, 100))
    with work.read() as connection:
        results = [
            leaderboard.finished_since(connection, quiz.version_id, since)
            for since in (None, quiz.now, quiz.now + timedelta(seconds=2))
        ]
    assert [[result.player_name for result in listed] for listed in results] == [["Ada"], ["Ada"], []]
