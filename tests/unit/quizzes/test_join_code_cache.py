from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.clock import SettableClock
from tests.support.counted_reads import CountedReads
from webapp.lab.factories import make_draft, make_quiz
from webapp.quizzes import join_code_store, publishing
from webapp.quizzes.join_code_cache import JoinCodeCache
from webapp.quizzes.published_cache import CATALOG_TTL, PublishedQuizCache


@pytest.fixture
def reads(work: UnitOfWork) -> CountedReads:
    return CountedReads(work)


@pytest.fixture
def cache(reads: CountedReads) -> JoinCodeCache:
    return JoinCodeCache(reads, PublishedQuizCache(reads).catalog_version)


def code_of(work: UnitOfWork, quiz_id: int) -> str:
    with work.read() as connection:
        return join_code_store.find(connection, quiz_id) or ""


def test_two_thousand_joins_at_once_read_the_codes_once(work: UnitOfWork, reads: CountedReads) -> None:
    quiz = make_quiz(work)
    code = code_of(work, quiz.quiz_id)
    cache = JoinCodeCache(reads, PublishedQuizCache(reads, ttl=60).catalog_version)
    with ThreadPoolExecutor(16) as threads:
        found = set(threads.map(cache.slug_of, [code, "C2C2C2"] * 1000))
    assert found == {quiz.slug, None}
    # The catalog version, and the directory.
    assert reads.count == 2


def test_a_new_code_takes_the_place_of_the_old_one_soon(
    work: UnitOfWork, cache: JoinCodeCache, clock: SettableClock
) -> None:
    quiz = make_quiz(work)
    old = code_of(work, quiz.quiz_id)
    assert cache.slug_of(old) == quiz.slug
    new = work.run_in_transaction(lambda connection: join_code_store.renew(connection, quiz.quiz_id))
    clock.advance(CATALOG_TTL)
    assert (cache.slug_of(old), cache.slug_of(new)) == (None, quiz.slug)


def test_a_code_is_made_by_the_first_publication_and_stays(work: UnitOfWork) -> None:
    draft = make_draft(work)
    assert code_of(work, draft.id) == ""
    for _ in range(2):
        work.run_in_transaction(lambda connection: publishing.publish(connection, draft.id, None, None))
    code = code_of(work, draft.id)
    work.run_in_transaction(lambda connection: publishing.publish(connection, draft.id, None, None))
    assert code_of(work, draft.id) == code
    assert len(code) == 6


def test_an_older_version_does_not_bring_a_second_entry(work: UnitOfWork, cache: JoinCodeCache) -> None:
    quizzes = [make_quiz(work) for _ in range(3)]
    work.run_in_transaction(lambda connection: publishing.publish(connection, quizzes[0].quiz_id, None, None))
    assert [cache.slug_of(code_of(work, quiz.quiz_id)) for quiz in quizzes] == [quiz.slug for quiz in quizzes]
