"""Draws: so many items of the bank that match, chosen at random, for all players or for each of them.

In a draft a draw is a condition. At the publication the items that match it then are its pool, which is frozen with the
version: what is added to the bank afterwards changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random, SystemRandom
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from webapp.bank import items
from webapp.bank.item_draft import MAX_CATEGORY_LENGTH, MAX_TAG_LENGTH
from webapp.bank.item_kinds import Difficulty
from webapp.bank.items import Filters, Item
from webapp.errors import InvalidInputError
from webapp.messages import message
from webapp.quizzes.documents import Pool
from webapp.quizzes.models import QuizDraw

MAX_DRAWS = 20
"""In a quiz."""
MAX_POOL = 500
"""Items of a pool. Of more that match so many are chosen at random: every worker has the document in memory."""
MAX_POINTS = 100

_random = SystemRandom()


@dataclass(frozen=True)
class Draw:
    """So many items that match all conditions; None is no condition."""

    position: int
    """How many of the draft's items come before it."""
    size: int
    category: str | None = None
    difficulty: str | None = None
    tag: str | None = None
    points: int = 1
    """Of each item that is drawn."""
    for_each_player: bool = True
    """Whether each player gets a draw of their own; otherwise the publication makes one, for all."""

    def describe(self) -> str:
        """Return what is drawn, for a message: "5 of Geography, easy"."""
        conditions = ", ".join(part for part in (self.category, self.difficulty, self.tag) if part)
        return f"{self.size} of {conditions or 'all items'}"


@dataclass(frozen=True)
class Chosen:
    """An item that becomes a question."""

    item: Item
    points: int = 1
    section: str | None = None
    """The title of the section that it is in."""


@dataclass(frozen=True)
class Selection:
    """The questions of a version: those that all players get, those of pools, and the pools."""

    common: Sequence[Chosen]
    pooled: Sequence[Chosen]
    pools: Sequence[Pool]


def load(connection: Connection, quiz_id: int, item_positions: Sequence[int]) -> tuple[Draw, ...]:
    """Return the draws of a draft whose items have these positions."""
    query = select(*QuizDraw.__table__.c).where(QuizDraw.quiz_id == quiz_id).order_by(QuizDraw.position)
    return tuple(_to_draw(row, item_positions) for row in connection.execute(query))


def store(connection: Connection, quiz_id: int, draws: Sequence[Draw], item_count: int) -> Sequence[int]:
    """Replace the draws of a draft; return the positions that its items have between them."""
    connection.execute(delete(QuizDraw).where(QuizDraw.quiz_id == quiz_id))
    ordered = sorted(draws, key=lambda draw: draw.position)
    rows = [
        {
            "quiz_id": quiz_id,
            "position": min(draw.position, item_count) + number,
            "size": draw.size,
            "category": draw.category,
            "difficulty": draw.difficulty,
            "tag": draw.tag,
            "points": draw.points,
            "for_each_player": draw.for_each_player,
        }
        for number, draw in enumerate(ordered)
    ]
    if rows:
        connection.execute(insert(QuizDraw), rows)
    taken = {row["position"] for row in rows}
    return [position for position in range(item_count + len(rows)) if position not in taken]


def find_errors(draws: Sequence[Draw], item_count: int, max_questions: int) -> Iterator[tuple[str, str]]:
    """Return what is wrong with the draws of a draft of so many items, as (field, reason)."""
    if len(draws) > MAX_DRAWS:
        yield "draws", f"A quiz has at most {MAX_DRAWS} draws."
    if draws and item_count + sum(draw.size for draw in draws) > max_questions:
        yield "draws", f"A quiz has at most {max_questions} questions, with those that are drawn."
    for draw in draws:
        yield from _draw_errors(draw, max_questions)


def select_questions(
    connection: Connection, chosen: Sequence[Chosen], draws: Sequence[Draw], random: Random = _random
) -> Selection:
    """Return the questions of a version that is published now; `chosen` are the draft's items.

    A draw is in the section of the item before it.

    Raises:
        InvalidInputError: when too few items match a draw, or two draws give the same item different points.
    """
    selection = _Selection((each.item for each in chosen), random)
    common: list[Chosen] = []
    begin = 0
    for draw in draws:
        common += chosen[begin : draw.position]
        begin = max(begin, draw.position)
        section = chosen[begin - 1].section if chosen and begin else None
        matching = {
            item_id: Chosen(item, draw.points, section)
            for item_id, item in selection.find_matching(connection, draw).items()
        }
        if draw.for_each_player:
            selection.add_pool(draw, matching, len(common))
        else:
            common += selection.draw_once(draw, matching)
    common += chosen[begin:]
    return Selection(common, list(selection.pooled.values()), selection.pools)


class _Selection:
    """What was selected so far: no player may get an item twice."""

    def __init__(self, chosen: Iterable[Item], random: Random) -> None:
        self._random = random
        self._used_ids = {item.id for item in chosen}
        self.pooled: dict[int, Chosen] = {}
        self.pools: list[Pool] = []

    def find_matching(self, connection: Connection, draw: Draw) -> dict[int, Item]:
        filters = Filters(category=draw.category, difficulty=draw.difficulty, tag=draw.tag)
        found = items.find_matching_ids(connection, filters)
        # What is in a pool already cannot be drawn for all: some players would get it twice.
        excluded = self._used_ids if draw.for_each_player else self._used_ids | self.pooled.keys()
        matching = [item_id for item_id in found if item_id not in excluded]
        if len(matching) > MAX_POOL:
            matching = self._random.sample(matching, MAX_POOL)
        return items.find_many(connection, matching)

    def draw_once(self, draw: Draw, matching: Mapping[int, Chosen]) -> list[Chosen]:
        if len(matching) < draw.size:
            raise _too_few_error(draw, len(matching))
        drawn = self._random.sample(sorted(matching), draw.size)
        self._used_ids.update(drawn)
        return [matching[item_id] for item_id in drawn]

    def add_pool(self, draw: Draw, matching: Mapping[int, Chosen], position: int) -> None:
        # At worst the draws before have taken as many of these as they can.
        lost = sum(min(pool.size, len(matching.keys() & set(pool.item_ids))) for pool in self.pools)
        if len(matching) - lost < draw.size:
            raise _too_few_error(draw, max(0, len(matching) - lost))
        for item_id, each in matching.items():
            if self.pooled.setdefault(item_id, each).points != draw.points:
                raise InvalidInputError(
                    message(
                        "Two draws with different points have an item in common: \u201c%(stem)s\u201d. "
                        "Give them the same points, or conditions that no item meets twice.",
                        stem=each.item.stem[:80],
                    )
                )
        self.pools.append(Pool(position, draw.size, tuple(sorted(matching))))


def _too_few_error(draw: Draw, found: int) -> InvalidInputError:
    return InvalidInputError(
        message(
            "For the draw \u201c%(draw)s\u201d the bank has %(count)s items that nothing else may need.",
            draw=draw.describe(),
            count=found,
        )
    )


def _draw_errors(draw: Draw, max_questions: int) -> Iterator[tuple[str, str]]:
    if not 1 <= draw.size <= max_questions:
        yield "draws", f"A draw has 1 to {max_questions} items."
    if not 1 <= draw.points <= MAX_POINTS:
        yield "draws", f"A question has 1 to {MAX_POINTS} points."
    if draw.position < 0:
        yield "draws", "A draw's position is how many items come before it."
    if len(draw.category or "") > MAX_CATEGORY_LENGTH or len(draw.tag or "") > MAX_TAG_LENGTH:
        yield "draws", "A draw's category or tag is too long."
    if draw.difficulty not in {None, *Difficulty}:
        yield "draws", f"A difficulty is one of {', '.join(Difficulty)}."


def _to_draw(row: Any, item_positions: Sequence[int]) -> Draw:
    before = sum(position < row.position for position in item_positions)
    return Draw(before, row.size, row.category, row.difficulty, row.tag, row.points, bool(row.for_each_player))
