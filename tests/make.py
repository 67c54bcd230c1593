"""Make what a test needs, in one call: plain functions with good defaults."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from webapp.bank import items
from webapp.bank.items import Item, ItemDraft
from webapp.pooling.work import Work
from webapp.quizzes import drafts, publishing
from webapp.quizzes.drafts import Draft, DraftValues
from webapp.quizzes.published import Version

_numbers = count(1)


def item_draft(**values: Any) -> ItemDraft:
    """A single-choice question that no other test has; its right choice is the first."""
    number = next(_numbers)
    defaults = {
        "kind": "single",
        "stem": f"What is the name of number {number}?",
        "choices": (f"right {number}", f"wrong {number}", f"worse {number}"),
        "right": (0,),
        "explanation": f"Number {number} is always called that.",
        "category": "Numbers",
    }
    return ItemDraft(**{**defaults, **values})


def make_item(connection: Connection, **values: Any) -> Item:
    return items.create(connection, item_draft(**values))


def make_draft(work: Work, questions: int = 2, **values: Any) -> Draft:
    """A quiz that is not published, with items of its own."""

    def deed(connection: Connection) -> Draft:
        ids = tuple(make_item(connection).id for _ in range(questions))
        return drafts.create(connection, DraftValues(**{"title": "Numbers", "item_ids": ids, **values}))

    return work.transact(deed)


def make_quiz(
    work: Work, questions: int = 2, opens_at: datetime | None = None, closes_at: datetime | None = None
) -> Version:
    """A published quiz, open now unless a window is given."""
    draft = make_draft(work, questions)
    return work.transact(lambda connection: publishing.publish(connection, draft.id, opens_at, closes_at))


class CountedReads:
    """Reads of a test's own, counted; and a database that can be away."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.count = 0
        self.is_away = False

    @contextmanager
    def __call__(self) -> Iterator[Connection]:
        if self.is_away:
            raise OperationalError("SELECT", {}, Exception("away"))
        self.count += 1
        with self.work.read() as connection:
            yield connection
