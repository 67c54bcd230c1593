from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.clock import SettableClock
from tests.unit.attempts.test_overdue import close, play, stored
from webapp.attempts.overdue_scorer import GIVEN_UP_INTERVAL, OverdueScorer
from webapp.attempts.time_limits import TimeLimits
from webapp.lab.factories import make_quiz
from webapp.quizzes.published import PublishedVersion

LIMITS = TimeLimits(grace=0, ttl=3600)


@pytest.fixture
def quiz(work: UnitOfWork) -> PublishedVersion:
    return make_quiz(work)


@pytest.fixture
def scorer(work: UnitOfWork) -> OverdueScorer:
    return OverdueScorer(work, LIMITS)


class Statements:
    def __init__(self, work: UnitOfWork) -> None:
        self.count = 0
        event.listen(work.engine, "before_cursor_execute", self._count)
        self._work = work

    def _count(self, *_: Any) -> None:
        self.count += 1

    def stop(self) -> None:
        event.remove(self._work.engine, "before_cursor_execute", self._count)


def test_after_the_closing_all_are_scored_once_and_then_nothing_is_asked_any_more(
    work: UnitOfWork, quiz: PublishedVersion, scorer: OverdueScorer
) -> None:
    claims = [play(work, quiz, right) for right in (1, 2)]
    closed = close(work, quiz)
    assert scorer.settle(closed)
    assert [stored(work)[claim.attempt_id].score for claim in claims] == [1, 2]
    statements = Statements(work)
    assert not any(scorer.settle(closed) for _ in range(100))
    statements.stop()
    assert statements.count == 0


def test_a_worker_that_comes_second_reads_the_results_anew(
    work: UnitOfWork, quiz: PublishedVersion, scorer: OverdueScorer
) -> None:
    play(work, quiz, 1)
    closed = close(work, quiz)
    assert scorer.settle(closed)
    assert OverdueScorer(work, LIMITS).settle(closed)


def test_while_a_quiz_is_open_nothing_is_asked_but_once_a_minute_where_it_has_no_end(
    work: UnitOfWork, quiz: PublishedVersion, scorer: OverdueScorer, clock: SettableClock
) -> None:
    statements = Statements(work)
    for _ in range(100):
        scorer.settle(quiz)
    once = statements.count
    clock.advance(GIVEN_UP_INTERVAL)
    scorer.settle(quiz)
    statements.stop()
    assert (once > 0, statements.count) == (True, 2 * once)


def test_while_the_database_is_away_results_are_shown_as_they_are(
    work: UnitOfWork, quiz: PublishedVersion, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(work, quiz, 1)
    closed = close(work, quiz)
    away = UnitOfWork(work.engine)

    def refuse(*_: Any, **__: Any) -> None:
        raise OperationalError("SELECT", {}, Exception("away"))

    scorer = OverdueScorer(away, LIMITS)
    with monkeypatch.context() as patched:
        patched.setattr(away, "run_in_transaction", refuse)
        assert not scorer.settle(closed)
    clock.advance(1)
    assert scorer.settle(closed)


def test_an_author_waits_for_the_one_who_scores_and_a_player_does_not(
    work: UnitOfWork, quiz: PublishedVersion, scorer: OverdueScorer
) -> None:
    play(work, quiz, 1)
    closed = close(work, quiz)
    with scorer._lock:
        assert not scorer.settle(closed)
        with ThreadPoolExecutor(1) as pool:
            author = pool.submit(scorer.settle, closed, 60)
            assert not author.done()
            scorer._lock.release()
            assert author.result(60)
            scorer._lock.acquire()
    assert set(stored(work)) != set()
