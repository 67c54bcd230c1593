"""Attempts are deleted when their period is over, and their sums stay."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import func, select, update

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.unit.attempts.results import store_results
from webapp.attempts import attempt_stats, retention
from webapp.attempts.models import Attempt, PeriodicTask
from webapp.attempts.retention_task import RetentionTask
from webapp.attempts.time_limits import TimeLimits
from webapp.db.types import NEVER
from webapp.lab.factories import make_quiz
from webapp.quizzes import publishing
from webapp.quizzes.models import QuizVersion
from webapp.quizzes.published import PublishedVersion
from webapp.quizzes.rules import QuizRules

DAYS = timedelta(days=1)


def limits(keep_days: int = 0) -> TimeLimits:
    return TimeLimits(grace=0, ttl=3600, keep_days=keep_days)


def set_rule(work: UnitOfWork, quiz: PublishedVersion, keep_days: int | None) -> None:
    work.run_in_transaction(
        lambda connection: publishing.change_rules(connection, quiz.quiz_id, {"keep_days": keep_days}) and None
    )


def close_ago(work: UnitOfWork, quiz: PublishedVersion, days: int) -> None:
    closed = update(QuizVersion).where(QuizVersion.id == quiz.version_id).values(closes_at=quiz.now - days * DAYS)
    work.run_in_transaction(lambda connection: connection.execute(closed) and None)


def count(work: UnitOfWork) -> int:
    with work.read() as connection:
        return int(connection.execute(select(func.count()).select_from(Attempt)).scalar_one())


def rules(keep_days: int | None) -> QuizRules:
    return replace(QuizRules("", NEVER, None, None), keep_days=keep_days)


def test_the_shorter_period_of_author_and_operator_holds() -> None:
    assert [limits(operator).kept_days(rules(author)) for operator, author in ((0, None), (0, 7), (30, None))] == [
        None,
        7,
        30,
    ]
    assert [limits(30).kept_days(rules(author)) for author in (7, 90)] == [7, 30]


def test_after_the_authors_period_attempts_are_deleted_and_their_sums_stay(work: UnitOfWork) -> None:
    kept, ended = make_quiz(work), make_quiz(work)
    for quiz in (kept, ended):
        store_results(work, quiz, ("Ada", 2, 300), ("Grace", 1, 100), ("Alan", None, None))
        set_rule(work, quiz, 7)
    close_ago(work, kept, 6)
    close_ago(work, ended, 8)
    assert RetentionTask(work, limits()).run_once() == 3
    assert count(work) == 3
    with work.read() as connection:
        assert attempt_stats.count_attempts(connection, ended.version_id).begun == 0
        deleted = attempt_stats.deleted_totals(connection, ended.version_id)
    assert deleted is not None
    # Nobody has finished Alan's attempt, and nobody has read the results: it was scored before it was deleted.
    assert (deleted.begun, deleted.finished, deleted.mean_score, deleted.mean_milliseconds) == (3, 3, 1.0, 400 / 3)


def test_without_an_end_each_attempt_is_kept_from_its_finish_on(work: UnitOfWork) -> None:
    quiz = make_quiz(work)
    store_results(work, quiz, ("old", 2, 300), ("new", 2, 300), ("given up", None, None), ("playing", None, None))
    for name, days in (("old", 40), ("new", 1)):
        finished = update(Attempt).where(Attempt.player_name == name).values(finished_at=quiz.now - days * DAYS)
        with work.transaction() as connection:
            connection.execute(finished)
    old = update(Attempt).where(Attempt.player_name == "given up").values(started_at=quiz.now - 40 * DAYS)
    work.run_in_transaction(lambda connection: connection.execute(old) and None)
    assert RetentionTask(work, limits(30)).run_once() == 2
    with work.read() as connection:
        assert set(connection.execute(select(Attempt.player_name)).scalars()) == {"new", "playing"}


def test_without_a_period_nothing_is_deleted(work: UnitOfWork) -> None:
    quiz = make_quiz(work)
    store_results(work, quiz, ("Ada", 2, 300))
    close_ago(work, quiz, 4000)
    assert (RetentionTask(work, limits()).run_once(), count(work)) == (0, 1)


def test_of_all_workers_one_takes_a_round(work: UnitOfWork) -> None:
    def claim() -> bool:
        return work.run_in_transaction(lambda connection: retention.claim(connection, 3600))

    assert [claim(), claim()] == [True, False]
    earlier = update(PeriodicTask).values(begun_at=PeriodicTask.begun_at)
    work.run_in_transaction(lambda connection: connection.execute(earlier.values(begun_at=retention.LONG_AGO)) and None)
    assert [claim(), claim()] == [True, False]
