"""Drafts: quizzes that their authors are working on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from webapp.bank import items
from webapp.db.timestamps import utc_now
from webapp.errors import (
    InvalidInputError,
    NameTakenError,
    NotFoundError,
    QuizPublishedError,
    VersionMismatchError,
)
from webapp.messages import message
from webapp.quizzes import catalog_version, draws
from webapp.quizzes.draws import Draw
from webapp.quizzes.models import Quiz, QuizItem, QuizSection
from webapp.quizzes.slugs import free_slug
from webapp.web.validators import is_visible

MAX_QUIZ_ITEMS = 200
"""Every player gets the whole document."""
MAX_TITLE_LENGTH = 200
MAX_DESCRIPTION_LENGTH = 4000
MAX_SLUG_LENGTH = 80
SLUG_PATTERN = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True)
class Section:
    """A title above a run of items, which begins at the position `before` of the draft's items."""

    before: int
    title: str


@dataclass(frozen=True)
class DraftValues:
    """The fields that an author edits. Without a slug one is made from the title, once."""

    title: str
    description: str = ""
    slug: str | None = None
    item_ids: tuple[int, ...] = ()
    sections: tuple[Section, ...] = ()
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
    sections: tuple[Section, ...] = ()
    points: Mapping[int, int] = field(default_factory=dict)
    """Item → points, of items that have not one point."""
    draws: tuple[Draw, ...] = ()

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

    def to_values(self) -> DraftValues:
        """Return what its author has edited, to be changed in parts."""
        return DraftValues(self.title, self.description, None, self.item_ids, self.sections, self.points, self.draws)


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
        raise NotFoundError(message("There is no quiz %(quiz)s.", quiz=quiz_id))
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
        _find_sections(connection, quiz_id),
        {row.item_id: row.points for row in chosen if row.points != 1},
        draws.load(connection, quiz_id, [row.position for row in chosen]),
    )


def create(connection: Connection, values: DraftValues) -> Draft:
    """Add a draft.

    Raises:
        InvalidInputError: when something in the values is not acceptable.
        NameTakenError: when another quiz has the slug.
    """
    _validate(connection, values)
    now = utc_now()
    columns = {"title": values.title, "description": values.description, "created_at": now, "changed_at": now}
    slug = values.slug or free_slug(connection, values.title)
    try:
        result = connection.execute(insert(Quiz).values(slug=slug, version=1, **columns))
    except IntegrityError as error:
        raise _slug_taken_error(slug) from error
    quiz_id: int = result.inserted_primary_key[0]  # type: ignore[index]
    _insert_items(connection, quiz_id, values)
    return find(connection, quiz_id)


def duplicate(connection: Connection, quiz_id: int, title: str) -> Draft:
    """Add a draft with this title that is otherwise like another one.

    Raises:
        NotFoundError: when there is no such quiz.
        InvalidInputError: when the title is not acceptable.
    """
    return create(connection, replace(find(connection, quiz_id).to_values(), title=title))


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
            message(
                "The quiz is at version %(version)s, not %(expected)s; read it again and repeat your change.",
                version=present.version,
                expected=expected_version,
            )
        )
    if values.slug is not None:
        catalog_version.bump(connection)
    connection.execute(delete(QuizItem).where(QuizItem.quiz_id == quiz_id))
    connection.execute(delete(QuizSection).where(QuizSection.quiz_id == quiz_id))
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
        raise NotFoundError(message("There is no quiz %(quiz)s.", quiz=quiz_id))


def _validate(connection: Connection, values: DraftValues) -> None:
    _raise_errors(
        (
            *_title_errors(values.title),
            *_field_errors(values),
            *_item_errors(connection, values.item_ids),
            *_section_errors(values),
            *_points_errors(values.points),
            *draws.find_errors(values.draws, len(values.item_ids), MAX_QUIZ_ITEMS),
        )
    )


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


def _section_errors(values: DraftValues) -> Iterator[tuple[str, str]]:
    places = [section.before for section in values.sections]
    if places != sorted(places) or any(not 0 <= place <= len(values.item_ids) for place in places):
        yield "sections", "Sections come in the order of the items before which they begin."
    if len(places) > MAX_QUIZ_ITEMS:
        yield "sections", f"A quiz has at most {MAX_QUIZ_ITEMS} sections."
    for section in values.sections:
        if not (is_visible(section.title) and len(section.title.strip()) <= MAX_TITLE_LENGTH):
            yield "sections", f"Give a section a title of 1 to {MAX_TITLE_LENGTH} characters that can be seen."


def _find_sections(connection: Connection, quiz_id: int) -> tuple[Section, ...]:
    query = select(QuizSection.position, QuizSection.title).where(QuizSection.quiz_id == quiz_id)
    return tuple(Section(place, title) for place, title in connection.execute(query.order_by(QuizSection.number)))


def _insert_items(connection: Connection, quiz_id: int, values: DraftValues) -> None:
    if values.sections:
        sections = [
            {"quiz_id": quiz_id, "number": number, "position": section.before, "title": section.title.strip()}
            for number, section in enumerate(values.sections)
        ]
        connection.execute(insert(QuizSection), sections)
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


def _slug_taken_error(slug: str) -> NameTakenError:
    return NameTakenError(message("Another quiz has the slug “%(slug)s”.", slug=slug))
