from __future__ import annotations

from typing import Any

import pytest

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.bank import items
from webapp.errors import (
    InvalidInputError,
    ItemInUseError,
    NameTakenError,
    NotFoundError,
    QuizPublishedError,
    VersionMismatchError,
)
from webapp.lab.factories import make_draft, make_item, make_quiz
from webapp.quizzes import draft_list, drafts
from webapp.quizzes.drafts import DraftValues
from webapp.quizzes.slugs import slugify


def test_a_draft_keeps_its_items_in_order(work: UnitOfWork) -> None:
    ids = [work.run_in_transaction(make_item).id for _ in range(3)]
    draft = make_draft(work, item_ids=(ids[2], ids[0], ids[1]))
    assert draft.item_ids == (ids[2], ids[0], ids[1])


def test_two_quizzes_of_one_title_get_two_slugs(work: UnitOfWork) -> None:
    first, second = make_draft(work, title="Sea & sky"), make_draft(work, title="Sea & sky")
    assert first.slug == "sea-sky"
    assert second.slug.startswith("sea-sky-")


def test_a_slug_that_is_taken_is_refused_when_asked_for(work: UnitOfWork) -> None:
    make_draft(work, slug="numbers")
    with pytest.raises(NameTakenError):
        make_draft(work, slug="numbers")


@pytest.mark.parametrize(
    ("title", "slug"), [("Ça va? Oui!", "ca-va-oui"), ("日本", "quiz"), ("--", "quiz"), ("A" * 90, "a" * 60)]
)
def test_a_slug_is_made_of_plain_letters(title: str, slug: str) -> None:
    assert slugify(title) == slug


@pytest.mark.parametrize(
    "values",
    [
        {"title": " "},
        {"title": "\u3164"},
        {"title": "x" * 201},
        {"slug": "Not Plain"},
        {"item_ids": (1, 1)},
        {"item_ids": (987654321,)},
        {"item_ids": tuple(range(1, 202))},
    ],
)
def test_what_is_not_acceptable_is_refused_with_its_place(work: UnitOfWork, values: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        make_draft(work, **{"questions": 0, "item_ids": (), **values})
    assert refusal.value.extra["errors"]


def test_a_change_of_an_older_version_is_refused_and_changes_nothing(work: UnitOfWork) -> None:
    draft = make_draft(work)
    values = DraftValues("Renamed", item_ids=draft.item_ids)
    work.run_in_transaction(lambda connection: drafts.change(connection, draft.id, values, draft.version))
    with pytest.raises(VersionMismatchError):
        work.run_in_transaction(
            lambda connection: drafts.change(connection, draft.id, DraftValues("Late"), draft.version)
        )
    with work.read() as connection:
        present = drafts.find(connection, draft.id)
    assert (present.title, present.item_ids, present.version) == ("Renamed", draft.item_ids, draft.version + 1)


def test_an_item_of_a_draft_cannot_be_deleted_from_the_bank(work: UnitOfWork) -> None:
    draft = make_draft(work)
    with pytest.raises(ItemInUseError):
        work.run_in_transaction(lambda connection: items.remove(connection, draft.item_ids[0]))


def test_a_draft_can_be_deleted_and_its_items_stay(work: UnitOfWork) -> None:
    draft = make_draft(work)
    work.run_in_transaction(lambda connection: drafts.remove(connection, draft.id))
    with work.read() as connection:
        assert len(items.find_many(connection, draft.item_ids)) == 2
        with pytest.raises(NotFoundError):
            drafts.find(connection, draft.id)


def test_a_published_quiz_cannot_be_deleted(work: UnitOfWork) -> None:
    quiz = make_quiz(work)
    with pytest.raises(QuizPublishedError):
        work.run_in_transaction(lambda connection: drafts.remove(connection, quiz.quiz_id))


def test_the_list_of_drafts_comes_in_pages_newest_first(work: UnitOfWork) -> None:
    ids = [make_draft(work, questions=0).id for _ in range(3)]
    with work.read() as connection:
        first = draft_list.list_drafts(connection, None, 2)
        rest = draft_list.list_drafts(connection, first.next_after, 2)
    assert [row.id for row in first.rows] == [ids[2], ids[1]]
    assert ([row.id for row in rest.rows], rest.next_after) == ([ids[0]], None)
