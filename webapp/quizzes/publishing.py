"""Publishing: a draft is frozen into a version with a window; closing cuts the window short."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, insert, select, update

from webapp.bank import items
from webapp.db.timestamps import database_now, utc_now
from webapp.errors import InvalidInputError, NotFoundError
from webapp.quizzes import catalog_version, documents, drafts, published
from webapp.quizzes.models import Quiz, QuizVersion
from webapp.quizzes.published import PublishedVersion

DEFAULT_WINDOW = timedelta(days=7)
"""How long a quiz is open by default."""
MAX_WINDOW_TIME = datetime(9000, 1, 1, tzinfo=UTC)


def publish(
    connection: Connection, quiz_id: int, opens_at: datetime | None, closes_at: datetime | None
) -> PublishedVersion:
    """Freeze the draft as it is now into a new version and return it.

    Without `opens_at` it opens at once, without `closes_at` it is open for a week; both are
    compared with the database's clock.

    Raises:
        NotFoundError: when there is no such quiz.
        InvalidInputError: when the draft has no items, or the window lies in the past or is empty.
    """
    # The lock has two concurrent publications get different numbers, one after the other.
    locked = connection.execute(select(Quiz.id).where(Quiz.id == quiz_id).with_for_update()).one_or_none()
    if locked is None:
        raise NotFoundError(f"There is no quiz {quiz_id}.")
    draft = drafts.find(connection, quiz_id)
    if not draft.item_ids:
        raise InvalidInputError("A quiz needs at least one item before it can be published.")
    now = database_now(connection)
    opens_at, closes_at = _resolve_window(now, opens_at, closes_at)
    by_id = items.find_many(connection, draft.item_ids)
    document = documents.freeze(draft.title, draft.description, (by_id[item_id] for item_id in draft.item_ids))
    latest = select(func.max(QuizVersion.number)).where(QuizVersion.quiz_id == quiz_id)
    result = connection.execute(
        insert(QuizVersion).values(
            quiz_id=quiz_id,
            number=(connection.execute(latest).scalar_one() or 0) + 1,
            title=draft.title,
            question_count=len(document.questions),
            document=documents.to_json(document),
            opens_at=opens_at,
            closes_at=closes_at,
            published_at=now,
        )
    )
    catalog_version.bump(connection)
    version_id: int = result.inserted_primary_key[0]  # type: ignore[index]
    return published.by_version(connection, version_id)


def close(connection: Connection, quiz_id: int) -> None:
    """End the windows of all versions of a quiz now; closing a closed one changes nothing.

    Raises:
        NotFoundError: when the quiz was never published.
    """
    of_this_quiz = QuizVersion.quiz_id == quiz_id
    still_open = update(QuizVersion).where(of_this_quiz, QuizVersion.closes_at > utc_now())
    if connection.execute(still_open.values(closes_at=utc_now())).rowcount == 0:
        published.current(connection, published.QuizId(quiz_id))
        return
    catalog_version.bump(connection)


def _resolve_window(now: datetime, opens_at: datetime | None, closes_at: datetime | None) -> tuple[datetime, datetime]:
    opens_at = opens_at or now
    if opens_at > MAX_WINDOW_TIME or (closes_at or now) > MAX_WINDOW_TIME:
        raise InvalidInputError("The window lies too far in the future.")
    closes_at = closes_at or max(now, opens_at) + DEFAULT_WINDOW
    if closes_at <= opens_at:
        raise InvalidInputError("The quiz must open before it closes.")
    if closes_at <= now:
        raise InvalidInputError(f"closes_at has passed already; the database's clock says {now.isoformat()}.")
    return opens_at, closes_at
