from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts import attempt_stats, erasure, leaderboard, tokens
from webapp.attempts.counting import counting_of
from webapp.attempts.leaderboard_cache import LeaderboardCache
from webapp.attempts.models import Answer, Attempt
from webapp.lab.factories import make_quiz
from webapp.quizzes.published import PublishedVersion
from webapp.quizzes.rules import CountedAttempt

# Score and milliseconds of the attempts of two players, in their order.
ADAS, GRACES = [(1, 900), (3, 800), (3, 700), (2, 100)], [(2, 500)]


@pytest.fixture
def quiz(work: UnitOfWork) -> PublishedVersion:
    quiz = make_quiz(work, questions=3)
    for name, results in (("Ada", ADAS), ("Grace", GRACES)):
        store(work, quiz, name, results)
    return quiz


def store(work: UnitOfWork, quiz: PublishedVersion, name: str, results: list[tuple[int, int]]) -> None:
    player = tokens.new_player_id()
    claims = [tokens.new_claim(quiz.version_id, player, name, quiz.now, number + 1) for number in range(len(results))]
    rows = [
        {
            "id": claim.attempt_id,
            "quiz_version_id": quiz.version_id,
            "player_id": player,
            "number": claim.number,
            "player_name": name,
            "started_at": quiz.now,
            "finished_at": quiz.now + timedelta(milliseconds=milliseconds),
            "score": score,
            "milliseconds": milliseconds,
        }
        for claim, (score, milliseconds) in zip(claims, results, strict=True)
    ]
    with work.transaction() as connection:
        connection.execute(insert(Attempt), rows)


@pytest.mark.parametrize(
    ("counting", "expected"),
    [
        (CountedAttempt.EARLIEST, [("Grace", 2, 500), ("Ada", 1, 900)]),
        (CountedAttempt.BEST, [("Ada", 3, 700), ("Grace", 2, 500)]),
        (CountedAttempt.FINAL, [("Ada", 2, 100), ("Grace", 2, 500)]),
    ],
)
def test_the_attempt_that_counts_is_in_leaderboard_and_results_and_no_other(
    work: UnitOfWork, quiz: PublishedVersion, counting: CountedAttempt, expected: list[tuple[str, int, int]]
) -> None:
    rules = replace(quiz.rules, max_attempts=5, counted_attempt=counting)
    with work.read() as connection:
        places = leaderboard.top_places(connection, quiz.version_id, counting=counting_of(rules))
        totals = attempt_stats.count_attempts(connection, quiz.version_id, counting)
    assert [(place.player_name, place.score, place.milliseconds) for place in places] == expected
    assert (totals.begun, totals.finished) == (2, 2)
    assert totals.mean_score == pytest.approx(sum(score for _, score, _ in expected) / 2)
    shown = LeaderboardCache(work.read).get(quiz.version_id, counting)
    assert (shown.places, shown.finished_count) == (places, 2)


def test_a_better_attempt_takes_the_place_of_the_former_one_on_a_leaderboard_in_memory(
    work: UnitOfWork, quiz: PublishedVersion
) -> None:
    cache = LeaderboardCache(work.read, ttl=0)
    assert [place.player_name for place in cache.get(quiz.version_id, CountedAttempt.BEST).places] == ["Ada", "Grace"]
    with work.transaction() as connection:
        grace = leaderboard.top_results(connection, quiz.version_id)[0]
        claim = tokens.new_claim(quiz.version_id, grace.player_id or tokens.new_player_id(), "Grace", quiz.now, 2)
        values = {"quiz_version_id": quiz.version_id, "player_name": "Grace", "started_at": quiz.now, "number": 2}
        result = {"finished_at": quiz.now + timedelta(seconds=1), "score": 3, "milliseconds": 600}
        ids = {"id": claim.attempt_id, "player_id": claim.player_id}
        connection.execute(insert(Attempt), [values | result | ids])
    places = cache.get(quiz.version_id, CountedAttempt.BEST).places
    assert [(place.player_name, place.milliseconds) for place in places] == [("Grace", 600), ("Ada", 700)]


def test_where_a_player_has_one_attempt_the_first_counts_whatever_was_allowed_before(quiz: PublishedVersion) -> None:
    assert counting_of(replace(quiz.rules, max_attempts=1)) is CountedAttempt.EARLIEST
    assert counting_of(replace(quiz.rules, max_attempts=2)) is CountedAttempt.BEST


@pytest.mark.parametrize("counting", list(CountedAttempt))
def test_a_player_who_plays_again_is_counted_once_at_every_question(
    work: UnitOfWork, quiz: PublishedVersion, counting: CountedAttempt
) -> None:
    player, item = tokens.new_player_id(), quiz.document.questions[0].item_id
    claims = [tokens.new_claim(quiz.version_id, player, "Linus", quiz.now, number) for number in (1, 2)]
    rows = [
        {
            "id": claim.attempt_id,
            "quiz_version_id": quiz.version_id,
            "player_id": player,
            "number": claim.number,
            "player_name": "Linus",
            "started_at": quiz.now,
            # The second one is still played.
            "score": 1 if claim.number == 1 else None,
            "milliseconds": 300 if claim.number == 1 else None,
        }
        for claim in claims
    ]
    answers = [
        {"attempt_id": claim.attempt_id, "item_id": item, "chosen": 1, "answered_at": quiz.now} for claim in claims
    ]
    with work.transaction() as connection:
        connection.execute(insert(Attempt), rows)
        connection.execute(insert(Answer), answers)
        counts = attempt_stats.count_choices(connection, quiz.version_id, counting)
    assert [(each.count, each.scored) for each in counts] == [(1, 1)]


@pytest.mark.parametrize("counting", [CountedAttempt.BEST, CountedAttempt.FINAL])
def test_a_player_whose_first_attempt_is_erased_is_still_one_who_has_begun(
    work: UnitOfWork, quiz: PublishedVersion, counting: CountedAttempt
) -> None:
    of_ada = Attempt.player_name == "Ada"
    with work.transaction() as connection:
        first = connection.execute(select(Attempt).where(of_ada, Attempt.number == 1)).one()
        erasure.erase(connection, tokens.new_claim(quiz.version_id, first.player_id, "Ada", quiz.now))
        totals = attempt_stats.count_attempts(connection, quiz.version_id, counting)
    assert (totals.begun, totals.finished) == (2, 2)
