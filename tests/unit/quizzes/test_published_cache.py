from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.exc import OperationalError

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.clock import SettableClock
from tests.support.counted_reads import CountedReads
from tests.support.narrowing import not_none
from webapp.errors import NotFoundError
from webapp.lab.factories import make_quiz
from webapp.quizzes import drafts, publishing
from webapp.quizzes.catalog_version import read_catalog_version
from webapp.quizzes.drafts import DraftValues
from webapp.quizzes.published import QuizId, QuizState, Slug
from webapp.quizzes.published_cache import CATALOG_TTL, PublishedQuizCache


@pytest.fixture
def reads(work: UnitOfWork) -> CountedReads:
    return CountedReads(work)


@pytest.fixture
def cache(reads: CountedReads) -> PublishedQuizCache:
    return PublishedQuizCache(reads)


def is_there(cache: PublishedQuizCache, slug: str) -> bool:
    try:
        cache.current(Slug(slug))
    except NotFoundError:
        return False
    return True


def test_a_thousand_looks_at_a_quiz_read_it_once(work: UnitOfWork, reads: CountedReads) -> None:
    quiz, cache = make_quiz(work), PublishedQuizCache(reads, ttl=60)
    for _ in range(1000):
        assert cache.current(Slug(quiz.slug)).document == quiz.document
    # The catalog version, and the published version.
    assert reads.count == 2


def test_a_quiz_is_found_by_slug_by_id_and_by_version(
    work: UnitOfWork, cache: PublishedQuizCache, clock: SettableClock
) -> None:
    quiz = make_quiz(work)
    for version in (
        cache.current(Slug(quiz.slug)),
        cache.current(QuizId(quiz.quiz_id)),
        cache.by_version(quiz.version_id),
    ):
        assert (version.version_id, version.state) == (quiz.version_id, QuizState.OPEN)


def test_a_quiz_that_is_closed_is_seen_as_closed_soon(
    work: UnitOfWork, cache: PublishedQuizCache, clock: SettableClock
) -> None:
    quiz = make_quiz(work)
    assert cache.current(Slug(quiz.slug)).state is QuizState.OPEN
    work.run_in_transaction(lambda connection: publishing.close(connection, quiz.quiz_id))
    clock.advance(CATALOG_TTL)
    assert cache.current(Slug(quiz.slug)).state is QuizState.CLOSED
    assert cache.by_version(quiz.version_id).state is QuizState.CLOSED


def test_a_new_version_takes_the_place_of_the_old_one_soon(
    work: UnitOfWork, cache: PublishedQuizCache, clock: SettableClock
) -> None:
    quiz = make_quiz(work)
    cache.current(Slug(quiz.slug))
    work.run_in_transaction(lambda connection: publishing.publish(connection, quiz.quiz_id, None, None))
    clock.advance(CATALOG_TTL)
    assert cache.current(Slug(quiz.slug)).number == 2
    assert cache.by_version(quiz.version_id).number == 1


def test_a_new_slug_is_found_and_the_old_one_is_not_any_more(
    work: UnitOfWork, cache: PublishedQuizCache, clock: SettableClock
) -> None:
    quiz = make_quiz(work)
    cache.current(Slug(quiz.slug))
    with work.read() as connection:
        draft = drafts.find(connection, quiz.quiz_id)
    values = DraftValues(draft.title, draft.description, "renamed", draft.item_ids)
    work.run_in_transaction(lambda connection: drafts.change(connection, quiz.quiz_id, values, draft.version))
    clock.advance(CATALOG_TTL)
    assert not is_there(cache, quiz.slug)
    assert cache.current(Slug("renamed")).quiz_id == quiz.quiz_id


def test_a_quiz_that_is_not_there_may_come_later(
    work: UnitOfWork, cache: PublishedQuizCache, clock: SettableClock
) -> None:
    with pytest.raises(NotFoundError):
        cache.by_version(10**9)
    quiz = make_quiz(work)
    clock.advance(CATALOG_TTL)
    assert cache.by_version(quiz.version_id).slug == quiz.slug


def test_the_window_opens_in_memory_by_the_databases_clock(
    work: UnitOfWork, reads: CountedReads, clock: SettableClock
) -> None:
    with work.read() as connection:
        now = read_catalog_version(connection).database_time
    quiz = make_quiz(work, opens_at=now + timedelta(hours=1), closes_at=now + timedelta(hours=2))
    cache = PublishedQuizCache(reads, ttl=7200)
    assert cache.current(Slug(quiz.slug)).state is QuizState.UPCOMING
    before = reads.count
    clock.advance(3600)
    assert cache.current(Slug(quiz.slug)).state is QuizState.OPEN
    assert reads.count == before


def test_while_the_database_is_away_what_was_read_is_served(
    work: UnitOfWork, cache: PublishedQuizCache, reads: CountedReads, clock: SettableClock
) -> None:
    quiz = make_quiz(work)
    cache.current(Slug(quiz.slug))
    reads.is_away = True
    clock.advance(CATALOG_TTL)
    assert cache.current(Slug(quiz.slug)).version_id == quiz.version_id
    with pytest.raises(OperationalError):
        cache.current(Slug("never asked for"))


def test_what_is_at_hand_is_returned_without_a_read_until_it_is_to_be_looked_after(
    work: UnitOfWork, cache: PublishedQuizCache, reads: CountedReads, clock: SettableClock
) -> None:
    quiz = make_quiz(work)
    assert cache.peek(quiz.version_id) is None
    cache.by_version(quiz.version_id)
    before = reads.count
    assert not_none(cache.peek(quiz.version_id)).document == quiz.document
    clock.advance(CATALOG_TTL)
    assert cache.peek(quiz.version_id) is None
    assert reads.count == before


def test_whoever_changes_something_sees_it_at_once(work: UnitOfWork, reads: CountedReads) -> None:
    quiz, cache = make_quiz(work), PublishedQuizCache(reads, ttl=60)
    cache.current(Slug(quiz.slug))
    work.run_in_transaction(lambda connection: publishing.close(connection, quiz.quiz_id))
    cache.invalidate()
    assert cache.current(Slug(quiz.slug)).state is QuizState.CLOSED


def test_rules_that_are_changed_are_seen_by_every_worker_soon(
    work: UnitOfWork, reads: CountedReads, clock: SettableClock
) -> None:
    quiz, workers = make_quiz(work), [PublishedQuizCache(reads) for _ in range(3)]
    for cache in workers:
        assert cache.current(Slug(quiz.slug)).title == "Numbers"
    work.run_in_transaction(lambda connection: publishing.change_rules(connection, quiz.quiz_id, {"title": "Figures"}))
    clock.advance(CATALOG_TTL)
    for cache in workers:
        version = cache.current(Slug(quiz.slug))
        assert (version.title, version.number) == ("Figures", 1)
        assert cache.by_version(quiz.version_id).title == "Figures"
