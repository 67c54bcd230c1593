"""A draft as the version that its publication would make, without making it."""

from __future__ import annotations

from random import Random

from sqlalchemy import Connection

from webapp.db.timestamps import database_now
from webapp.errors import InvalidInputError
from webapp.quizzes import drafts, published, publishing
from webapp.quizzes.published import PublishedVersion
from webapp.quizzes.rules import QuizRules


def preview(connection: Connection, quiz_id: int, seed: int) -> tuple[PublishedVersion, int]:
    """Return what a publication would make of a draft now, and at which version the draft is.

    The order of the choices is the same for the same `seed`, as long as the draft stays as it is.

    Raises:
        NotFoundError: when there is no such quiz.
        InvalidInputError: when the draft has no items.
    """
    draft = drafts.find(connection, quiz_id)
    if not draft.question_count:
        raise InvalidInputError("Add items first; then it can be played.")
    document = publishing.freeze_draft(connection, draft, Random(seed))  # noqa: S311 - an order, no secret
    now = database_now(connection)
    present = published.latest_summary(connection, quiz_id)
    rules = present.rules if present is not None else QuizRules(draft.title, now, None, None)
    count = document.question_count
    return PublishedVersion(0, quiz_id, draft.slug, 0, count, rules, now, document), draft.version
