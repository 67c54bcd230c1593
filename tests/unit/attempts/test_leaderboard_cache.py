from __future__ import annotations

import pytest
from sqlalchemy import event, insert, update

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.counted_reads import CountedReads
from tests.unit.attempts.results import store_results
from webapp.attempts import erasure, tokens
from webapp.attempts.leaderboard import AttemptResult
from webapp.attempts.leaderboard_cache import LeaderboardCache
from webapp.attempts.models import Attempt
from webapp.lab.factories import make_quiz


@pytest.fixture
def reads(work: UnitOfWork) -> CountedReads:
    return CountedReads(work)


@pytest.fixture
def leaderboards(reads: CountedReads) -> LeaderboardCache:
    return LeaderboardCache(reads, ttl=0)


def test_more_points_lead_then_less_time_and_equals_share_a_rank(
    work: UnitOfWork, leaderboards: LeaderboardCache
) -> None:
    quiz = make_quiz(work)
    store_results(
        work, quiz, ("slow", 2, 900), ("best", 2, 300), ("same", 2, 300), ("low", 1, 100), ("playing", None, None)
    )
    board = leaderboards.get(quiz.version_id)
    assert [(place.rank, place.player_name) for place in board.places] == [
        (1, "best"), (1, "same"), (3, "slow"), (4, "low")
    ]  # fmt: skip
    assert board.finished_count == 4


def test_a_rank_is_one_more_than_those_who_are_better(work: UnitOfWork, leaderboards: LeaderboardCache) -> None:
    quiz = make_quiz(work)
    store_results(work, quiz, ("a", 2, 300), ("b", 2, 900), ("c", 1, 100))
    board = leaderboards.get(quiz.version_id)
    assert [board.rank(*result) for result in ((2, 300), (2, 900), (1, 100), (0, 1))] == [1, 2, 3, 4]


def test_a_board_knows_its_own_version_only_and_ends(work: UnitOfWork, leaderboards: LeaderboardCache) -> None:
    quiz, other = make_quiz(work), make_quiz(work)
    store_results(work, other, ("elsewhere", 2, 1))
    store_results(work, quiz, *((f"player {number}", 1, number) for number in range(120)))
    board = leaderboards.get(quiz.version_id)
    assert len(board.places) == 100
    assert "elsewhere" not in {place.player_name for place in board.places}
    assert (board.finished_count, board.rank(1, 119)) == (120, 120)


def test_whoever_finishes_later_joins_the_board_once(work: UnitOfWork, leaderboards: LeaderboardCache) -> None:
    quiz = make_quiz(work)
    store_results(work, quiz, ("first", 1, 100))
    assert leaderboards.get(quiz.version_id).finished_count == 1
    store_results(work, quiz, ("second", 2, 50))
    for _ in range(3):
        board = leaderboards.get(quiz.version_id)
        assert [place.player_name for place in board.places] == ["second", "first"]
        assert board.finished_count == 2


def test_a_thousand_looks_at_a_board_within_its_time_are_one_read(work: UnitOfWork, reads: CountedReads) -> None:
    quiz, leaderboards = make_quiz(work), LeaderboardCache(reads, ttl=60)
    for _ in range(1000):
        leaderboards.get(quiz.version_id)
    assert reads.count == 1


def test_while_the_database_is_away_the_last_board_is_shown(
    work: UnitOfWork, reads: CountedReads, leaderboards: LeaderboardCache
) -> None:
    quiz = make_quiz(work)
    store_results(work, quiz, ("first", 1, 100))
    leaderboards.get(quiz.version_id)
    reads.is_away = True
    assert leaderboards.get(quiz.version_id).finished_count == 1


def test_whoever_has_just_finished_sees_his_place_although_the_board_is_older(
    work: UnitOfWork, reads: CountedReads
) -> None:
    quiz, leaderboards = make_quiz(work), LeaderboardCache(reads, ttl=60)
    store_results(work, quiz, ("best", 2, 100), ("same", 1, 300))
    board = leaderboards.get(quiz.version_id)
    result = AttemptResult(tokens.new_player_id(), "own", 1, 300, None)
    shown = board.places_including(result, limit=10)
    assert {(place.rank, place.player_name) for place in shown} == {(1, "best"), (2, "same"), (2, "own")}
    known = board.places_including(AttemptResult(board.places[0].attempt_id, "best", 2, 100, None), limit=1)
    assert [place.player_name for place in known] == ["best"]


def test_whoever_finishes_while_everything_is_read_is_counted_once(
    work: UnitOfWork, leaderboards: LeaderboardCache
) -> None:
    quiz = make_quiz(work)
    store_results(work, quiz, ("first", 1, 100))
    engine = work.engine

    @event.listens_for(engine, "after_cursor_execute", once=True)
    def finish_another(*_: object) -> None:
        store_results(work, quiz, ("second", 2, 50))

    leaderboards.get(quiz.version_id)
    assert leaderboards.get(quiz.version_id).finished_count == 2


def test_a_result_that_has_changed_since_is_shown_as_it_is_now(
    work: UnitOfWork, leaderboards: LeaderboardCache
) -> None:
    quiz = make_quiz(work)
    store_results(work, quiz, ("first", 1, 100))
    assert leaderboards.get(quiz.version_id).places[0].score == 1
    with work.transaction() as connection:
        connection.execute(update(Attempt).values(score=2))
    assert leaderboards.get(quiz.version_id).places[0].score == 2


def test_an_invalidated_board_knows_results_of_any_time(work: UnitOfWork, leaderboards: LeaderboardCache) -> None:
    quiz = make_quiz(work)
    store_results(work, quiz, ("first", 1, 100))
    leaderboards.get(quiz.version_id)
    store_results(work, quiz, ("scored late", 2, 50))
    with work.transaction() as connection:
        connection.execute(update(Attempt).where(Attempt.score == 2).values(finished_at=None))
    assert leaderboards.get(quiz.version_id).finished_count == 1
    leaderboards.invalidate(quiz.version_id)
    assert leaderboards.get(quiz.version_id).finished_count == 2


def test_a_board_of_another_worker_forgets_an_attempt_that_was_erased(
    work: UnitOfWork, leaderboards: LeaderboardCache
) -> None:
    quiz = make_quiz(work)
    claims = [tokens.new_claim(quiz.version_id, tokens.new_player_id(), name, quiz.now) for name in ("Ada", "Grace")]
    for claim in claims:
        values = {"id": claim.attempt_id, "quiz_version_id": quiz.version_id, "player_id": claim.player_id}
        result = {"player_name": claim.player_name, "started_at": quiz.now, "finished_at": quiz.now}
        row = insert(Attempt).values(**values, **result, score=1, milliseconds=5)
        with work.transaction() as connection:
            connection.execute(row)
    assert leaderboards.get(quiz.version_id).finished_count == 2
    work.run_in_transaction(lambda connection: erasure.erase(connection, claims[0]))
    board = leaderboards.get(quiz.version_id)
    assert ([place.player_name for place in board.places], board.finished_count) == (["Grace"], 1)
