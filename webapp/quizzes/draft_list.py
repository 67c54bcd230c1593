"""The list of an author's quizzes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, exists, select

from webapp.db.page import Page, page_of
from webapp.quizzes.models import Quiz, QuizVersion


@dataclass(frozen=True)
class DraftSummary:
    """A line in the list of an author's quizzes."""

    id: int
    slug: str
    title: str
    version: int
    published: bool
    changed_at: datetime


def list_drafts(connection: Connection, after: int | None, limit: int) -> Page[DraftSummary]:
    """Return the authors' quizzes, the newest first."""
    published = exists(select(QuizVersion.id).where(QuizVersion.quiz_id == Quiz.id)).label("published")
    query = select(Quiz.id, Quiz.slug, Quiz.title, Quiz.version, published, Quiz.changed_at)
    if after is not None:
        query = query.where(Quiz.id < after)
    rows = connection.execute(query.order_by(Quiz.id.desc()).limit(limit + 1))
    summaries = [
        DraftSummary(row.id, row.slug, row.title, row.version, bool(row.published), row.changed_at) for row in rows
    ]
    return page_of(summaries, limit, lambda summary: summary.id)
