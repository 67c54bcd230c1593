"""Drafts: quizzes that their authors are working on."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, delete, exists, insert, select, update
from sqlalchemy.exc import IntegrityError

from webapp.bank import items
from webapp.db.page import Page, page_of
from webapp.db.timestamps import utc_now
from webapp.errors import (
    InvalidInputError,
    NameTakenError,
    NotFoundError,
    QuizPublishedError,
    VersionMismatchError,
)
from webapp.quizzes import catalog_version, draws
from webapp.quizzes.draws import Draw
from webapp.quizzes.models import Quiz, QuizItem, QuizVersion
from webapp.web.validators import is_visible

MAX_QUIZ_ITEMS = 200
"""Every player gets the whole document."""
MAX_TITLE_LENGTH = 200
MAX_DESCRIPTION_LENGTH = 4000
MAX_SLUG_LENGTH = 80
SLUG_PATTERN = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True)
class DraftValues:
    """The fields that an author edits. Without a slug one is made from the title, once."""

    title: str
    description: str = ""
    slug: str | None = None
    item_ids: tuple[int, ...] = ()
    points: Mapping[int, int] = field(default_factory=dict)
    """Item → points, of items that have not one point; others than the draft's are ignored."""
    draws: tuple[Draw, ...] = ()


@dataclass(frozen=True)
class Draft:
    """A draft in its present state; `version` counts its changes."""

    id: int
    slug: str
    title: str
    description: str
    item_ids: tuple[int, ...]
    version: int
    changed_at: datetime
    points: Mapping[int, int]
    """Item → points, of items that have not one point."""
    draws: tuple[Draw, ...]

    def points_of(self, item_id: int) -> int:
        """Return the points of an item of the draft."""
        return self.points.get(item_id, 1)

    @property
    def question_count(self) -> int:
        """How many questions each player would get."""
        return len(self.item_ids) + sum(draw.size for draw in self.draws)

    @property
    def max_score(self) -> int:
        """The points of a player who would have all answers right."""
        return sum(map(self.points_of, self.item_ids)) + sum(draw.size * draw.points for draw in self.draws)


@dataclass(frozen=True)
class DraftSummary:
    """A line in the list of an author's quizzes."""

    id: int
    slug: str
    title: str
    version: int
    published: bool
    changed_at: datetime


def find(connection: Connection, quiz_id: int) -> Draft:
    """Return a draft.

    Raises:
        NotFoundError: when there is none with this id.
    """
    columns = (Quiz.id, Quiz.slug, Quiz.title, Quiz.description, Quiz.version, Quiz.changed_at)
    item_columns = (QuizItem.item_id, QuizItem.position, QuizItem.points)
    rows = connection.execute(
        select(*columns, *item_columns)
        .outerjoin(QuizItem, QuizItem.quiz_id == Quiz.id)
        .where(Quiz.id == quiz_id)
        .order_by(QuizItem.position)
    ).all()
    if not rows:
        raise NotFoundError(f"There is no quiz {quiz_id}.")
    first = rows[0]
    chosen = [row for row in rows if row.item_id is not None]
    return Draft(
        first.id,
        first.slug,
        first.title,
        first.description,
        tuple(row.item_id for row in chosen),
        first.version,
        first.changed_at,
        {row.item_id: row.points for row in chosen if row.points != 1},
        draws.load(connection, quiz_id, [row.position for row in chosen]),
    )


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


def create(connection: Connection, values: DraftValues) -> Draft:
    """Add a draft.

    Raises:
        InvalidInputError: when something in the values is not acceptable.
        NameTakenError: when another quiz has the slug.
    """
    _validate(connection, values)
    now = utc_now()
    columns = {"title": values.title, "description": values.description, "created_at": now, "changed_at": now}
    slug = values.slug or _free_slug(connection, values.title)
    try:
        result = connection.execute(insert(Quiz).values(slug=slug, version=1, **columns))
    except IntegrityError as error:
        raise _slug_taken_error(slug) from error
    quiz_id: int = result.inserted_primary_key[0]  # type: ignore[index]
    _insert_items(connection, quiz_id, values)
    return find(connection, quiz_id)


def change(connection: Connection, quiz_id: int, values: DraftValues, expected_version: int) -> Draft:
    """Replace a draft's values, unless it was changed after `expected_version`.

    Raises:
        NotFoundError: when there is no such quiz.
        VersionMismatchError: when the draft is at another version than `expected_version`.
        InvalidInputError: when something in the values is not acceptable.
        NameTakenError: when another quiz has the slug.
    """
    _validate(connection, values)
    changes = {"title": values.title, "description": values.description, "changed_at": utc_now()}
    if values.slug is not None:
        changes["slug"] = values.slug
    statement = update(Quiz).where(Quiz.id == quiz_id, Quiz.version == expected_version)
    try:
        changed = connection.execute(statement.values(version=Quiz.version + 1, **changes)).rowcount
    except IntegrityError as error:
        raise _slug_taken_error(str(values.slug)) from error
    if changed == 0:
        present = find(connection, quiz_id)
        raise VersionMismatchError(
            f"The quiz is at version {present.version}, not {expected_version}; read it again and repeat your change."
        )
    if values.slug is not None:
        catalog_version.bump(connection)
    connection.execute(delete(QuizItem).where(QuizItem.quiz_id == quiz_id))
    _insert_items(connection, quiz_id, values)
    return find(connection, quiz_id)


def rename(connection: Connection, quiz_id: int, title: str) -> None:
    """Give a draft another title.

    Raises:
        InvalidInputError: when the title is not acceptable.
    """
    _raise_errors(_title_errors(title))
    columns = {"title": title, "version": Quiz.version + 1, "changed_at": utc_now()}
    connection.execute(update(Quiz).where(Quiz.id == quiz_id, Quiz.title != title).values(**columns))


def remove(connection: Connection, quiz_id: int) -> None:
    """Delete a draft that was never published.

    Raises:
        NotFoundError: when there is no such quiz.
        QuizPublishedError: when players may hold attempts at it.
    """
    try:
        removed = connection.execute(delete(Quiz).where(Quiz.id == quiz_id)).rowcount
    except IntegrityError as error:
        raise QuizPublishedError("A published quiz keeps its results; close it instead of deleting it.") from error
    if removed == 0:
        raise NotFoundError(f"There is no quiz {quiz_id}.")


def slugify(title: str) -> str:
    """Return a slug for a title: plain letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:60].strip("-") or "quiz"


def _validate(connection: Connection, values: DraftValues) -> None:
    found = (*_title_errors(values.title), *_field_errors(values), *_item_errors(connection, values.item_ids))
    drawn = draws.find_errors(values.draws, len(values.item_ids), MAX_QUIZ_ITEMS)
    _raise_errors((*found, *_points_errors(values.points), *drawn))


def _raise_errors(found: Iterable[tuple[str, str]]) -> None:
    errors = [{"where": where, "reason": reason} for where, reason in found]
    if errors:
        raise InvalidInputError(" ".join(error["reason"] for error in errors), {"errors": errors})


def _title_errors(title: str) -> Iterator[tuple[str, str]]:
    if not (is_visible(title) and len(title.strip()) <= MAX_TITLE_LENGTH):
        yield "title", f"Give a title of 1 to {MAX_TITLE_LENGTH} characters that can be seen."


def _field_errors(values: DraftValues) -> Iterator[tuple[str, str]]:
    if len(values.description) > MAX_DESCRIPTION_LENGTH:
        yield "description", f"Give at most {MAX_DESCRIPTION_LENGTH} characters."
    if values.slug is not None and not (len(values.slug) <= MAX_SLUG_LENGTH and SLUG_PATTERN.fullmatch(values.slug)):
        yield "slug", f"Use up to {MAX_SLUG_LENGTH} letters a-z, digits and single hyphens."


def _item_errors(connection: Connection, item_ids: tuple[int, ...]) -> Iterator[tuple[str, str]]:
    if len(item_ids) > MAX_QUIZ_ITEMS:
        yield "items", f"A quiz has at most {MAX_QUIZ_ITEMS} items."
    elif len(set(item_ids)) != len(item_ids):
        yield "items", "An item is named twice."
    elif missing := set(item_ids) - items.find_many(connection, item_ids).keys():
        yield "items", f"The bank has no item {', '.join(map(str, sorted(missing)))}."


def _points_errors(points: Mapping[int, int]) -> Iterator[tuple[str, str]]:
    if any(not 1 <= value <= draws.MAX_POINTS for value in points.values()):
        yield "points", f"A question has 1 to {draws.MAX_POINTS} points."


def _insert_items(connection: Connection, quiz_id: int, values: DraftValues) -> None:
    positions = draws.store(connection, quiz_id, values.draws, len(values.item_ids))
    if not values.item_ids:
        return
    rows = [
        {"quiz_id": quiz_id, "position": position, "item_id": item_id, "points": values.points.get(item_id, 1)}
        for position, item_id in zip(positions, values.item_ids, strict=True)
    ]
    try:
        connection.execute(insert(QuizItem).values(rows))
    except IntegrityError as error:
        raise InvalidInputError("One of the items has just been deleted; read the bank again.") from error


def _free_slug(connection: Connection, title: str) -> str:
    """Return the title's slug, with a random suffix where another quiz has it already."""
    slug = slugify(title)
    is_taken = connection.execute(select(exists(select(Quiz.id).where(Quiz.slug == slug)))).scalar_one()
    return f"{slug}-{secrets.token_hex(4)}" if is_taken else slug


def _slug_taken_error(slug: str) -> NameTakenError:
    return NameTakenError(f"Another quiz has the slug {slug}.")
