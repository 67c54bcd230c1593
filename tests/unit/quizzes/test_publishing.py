from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest
from sqlalchemy import select

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.bank import items
from webapp.bank.item_draft import ItemDraft
from webapp.db.timestamps import utc_now
from webapp.errors import InvalidInputError, NotFoundError
from webapp.lab.factories import make_draft, make_item, make_quiz
from webapp.quizzes import published, publishing
from webapp.quizzes.published import QuizId, QuizState

HOUR = timedelta(hours=1)


def database_time(work: UnitOfWork) -> datetime:
    with work.read() as connection:
        return connection.execute(select(utc_now())).scalar_one()


def test_a_quiz_is_open_at_once_and_without_an_end_when_nobody_says(work: UnitOfWork) -> None:
    quiz = make_quiz(work)
    assert (quiz.state, quiz.closes_at) == (QuizState.OPEN, None)
    with work.read() as connection:
        (line,) = published.list_by_state(connection, QuizState.OPEN, None, 10).rows
    assert (line.quiz_id, line.closes_at) == (quiz.quiz_id, None)


def test_the_databases_clock_is_utc(work: UnitOfWork) -> None:
    assert abs(database_time(work) - datetime.now(UTC)) < timedelta(seconds=5)


def test_what_is_published_does_not_change_with_the_bank(work: UnitOfWork) -> None:
    item = work.run_in_transaction(lambda connection: make_item(connection, stem="Before?"))
    draft = make_draft(work, item_ids=(item.id,))
    quiz = work.run_in_transaction(lambda connection: publishing.publish(connection, draft.id, None, None))
    changed = ItemDraft(item.kind, "After?", item.choices, item.right)
    work.run_in_transaction(lambda connection: items.change(connection, item.id, changed, item.version))
    with work.read() as connection:
        assert published.by_version(connection, quiz.version_id).document.questions[0].stem == "Before?"


def test_the_place_of_a_choice_tells_nothing(work: UnitOfWork) -> None:
    item = work.run_in_transaction(make_item)
    draft = make_draft(work, item_ids=(item.id,))
    places = set()
    for _ in range(40):
        version = work.run_in_transaction(lambda connection: publishing.publish(connection, draft.id, None, None))
        question = version.document.questions[0]
        assert question.choices[question.right[0]] == item.choices[0]
        places.add(question.right[0])
    assert places == {0, 1, 2}


def test_publishing_again_makes_the_next_version_and_the_newest_counts(work: UnitOfWork) -> None:
    quiz = make_quiz(work)
    again = work.run_in_transaction(lambda connection: publishing.publish(connection, quiz.quiz_id, None, None))
    with work.read() as connection:
        current = published.current(connection, QuizId(quiz.quiz_id))
    assert (quiz.number, again.number, current.number) == (1, 2, 2)


def test_two_who_publish_at_once_get_two_numbers(work: UnitOfWork) -> None:
    draft = make_draft(work)
    threads = [
        Thread(
            target=work.run_in_transaction,
            args=(lambda connection: publishing.publish(connection, draft.id, None, None),),
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with work.read() as connection:
        assert [version.number for version in published.list_versions(connection, draft.id)] == [4, 3, 2, 1]


def test_a_quiz_without_items_cannot_be_published(work: UnitOfWork) -> None:
    draft = make_draft(work, questions=0)
    with pytest.raises(InvalidInputError, match="at least one item"):
        work.run_in_transaction(lambda connection: publishing.publish(connection, draft.id, None, None))


@pytest.mark.parametrize(("opens", "closes"), [(2, 1), (1, 1), (-2, -1), (-1, 0)])
def test_a_window_that_is_empty_or_over_is_refused(work: UnitOfWork, opens: int, closes: int) -> None:
    draft, now = make_draft(work), database_time(work)
    with pytest.raises(InvalidInputError):
        work.run_in_transaction(
            lambda connection: publishing.publish(connection, draft.id, now + opens * HOUR, now + closes * HOUR)
        )


def test_a_quiz_that_opens_later_is_upcoming_and_not_open(work: UnitOfWork) -> None:
    quiz = make_quiz(work, opens_at=database_time(work) + HOUR)
    with work.read() as connection:
        upcoming = published.list_by_state(connection, QuizState.UPCOMING, None, 10).rows
        now_open = published.list_by_state(connection, QuizState.OPEN, None, 10).rows
    assert [line.quiz_id for line in upcoming] == [quiz.quiz_id]
    assert list(now_open) == []


def test_closing_ends_the_window_now_and_twice_does_no_harm(work: UnitOfWork) -> None:
    quiz = make_quiz(work)
    for _ in range(2):
        work.run_in_transaction(lambda connection: publishing.close(connection, quiz.quiz_id))
    with work.read() as connection:
        assert published.by_version(connection, quiz.version_id).state is QuizState.CLOSED


def test_a_quiz_that_was_never_published_cannot_be_closed(work: UnitOfWork) -> None:
    draft = make_draft(work)
    with pytest.raises(NotFoundError):
        work.run_in_transaction(lambda connection: publishing.close(connection, draft.id))
