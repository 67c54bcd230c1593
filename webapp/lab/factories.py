"""Questions, quizzes and settings for tests and benches, each made in one call with good defaults."""

from __future__ import annotations

from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from poolproof.settings import PoolSettings
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.bank import items
from webapp.bank.item_draft import ItemDraft
from webapp.bank.items import Item
from webapp.quizzes import drafts, publishing
from webapp.quizzes.drafts import Draft, DraftValues
from webapp.quizzes.published import PublishedVersion
from webapp.settings import ServiceSettings, Settings

_numbers = count(1)


def item_draft(**values: Any) -> ItemDraft:
    """Return a single-choice question with a text of its own; the first choice is right."""
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
    """Store a question made by `item_draft`."""
    return items.create(connection, item_draft(**values))


def make_draft(work: UnitOfWork, questions: int = 2, **values: Any) -> Draft:
    """Store an unpublished quiz with items of its own."""

    def create(connection: Connection) -> Draft:
        ids = tuple(make_item(connection).id for _ in range(questions))
        return drafts.create(connection, DraftValues(**{"title": "Numbers", "item_ids": ids, **values}))

    return work.run_in_transaction(create)


def make_quiz(
    work: UnitOfWork, questions: int = 2, opens_at: datetime | None = None, closes_at: datetime | None = None
) -> PublishedVersion:
    """Store a published quiz; it is open now unless other times are passed."""
    draft = make_draft(work, questions)
    return work.run_in_transaction(lambda connection: publishing.publish(connection, draft.id, opens_at, closes_at))


def make_settings(url: str, instance: Path, threads: int = 4, **pool_settings: Any) -> Settings:
    """Return settings without reading the environment."""
    service = ServiceSettings.model_validate({"instance": instance, "secret_key": "k" * 40, "threads": threads})
    return Settings(database_url=url, pool=PoolSettings(**pool_settings), poolproof=service)
