"""The document of a published version: its questions with their right answers, which only the server may know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from random import Random, SystemRandom
from typing import Any, Protocol

from webapp.bank.choice_order import shuffle_unpinned
from webapp.bank.item_kinds import Kind
from webapp.bank.items import Item
from webapp.errors import NotFoundError
from webapp.messages import message

MAX_CACHED_DRAWS = 20_000
"""Attempts whose questions are kept for each document; two hundred bytes each."""

_random = SystemRandom()
_SELDOM_FIELDS = {"pinned", "section", "author_order"}


@dataclass(frozen=True)
class Question:
    """An item as it was when the quiz was published. `right` must not leave the server before the finish."""

    item_id: int
    kind: str
    stem: str
    choices: tuple[str, ...]
    right: tuple[int, ...]
    explanation: str
    category: str | None
    difficulty: str | None
    source: str | None
    licence: str | None
    address: str | None = None
    """None in documents that were published before the address was stored."""
    points: int = 1
    author_order: tuple[int, ...] = ()
    """The positions of the choices in the order that the author gave them; empty in older documents."""
    pinned: tuple[int, ...] = ()
    """Positions of the choices that are shown in their places, whatever the order of the others."""
    section: str | None = None
    """The title of the section that the question is in; None when it is in none."""


@dataclass(frozen=True)
class Pool:
    """Questions of which each player gets `size`, drawn at random."""

    position: int
    """How many of the questions that all players get come before those that are drawn."""
    size: int
    item_ids: tuple[int, ...]


@dataclass(frozen=True)
class Origin:
    """A source of some questions; `address` when all of them have the same."""

    source: str | None
    licence: str | None
    address: str | None
    questions: int


class HasOrigin(Protocol):
    """A question or an item."""

    @property
    def source(self) -> str | None:
        """Its author or collection."""

    @property
    def licence(self) -> str | None:
        """The licence under which it may be used."""

    @property
    def address(self) -> str | None:
        """Its page at the source."""


@dataclass(frozen=True)
class QuizDocument:
    """The questions of a published version. It never changes."""

    title: str
    description: str
    questions: tuple[Question, ...]
    """All that may be asked: those that all players get, in order, and then those that only pools have."""
    pools: tuple[Pool, ...] = ()

    def question(self, item_id: int) -> Question:
        """Return the question made from this item.

        Raises:
            NotFoundError: when the quiz does not have it.
        """
        try:
            return self._by_item[item_id]
        except KeyError:
            raise NotFoundError(message("This quiz has no item %(item)s.", item=item_id)) from None

    def question_for(self, seed: int, item_id: int) -> Question:
        """Return the question made from this item, for the player of an attempt with this seed.

        Raises:
            NotFoundError: when the quiz does not have it, or it was not drawn for this player.
        """
        question = self.question(item_id)
        if self.pools and not any(each is question for each in self.questions_for(seed)):
            raise NotFoundError(message("The item %(item)s was not drawn for this attempt.", item=item_id))
        return question

    def questions_for(self, seed: int) -> tuple[Question, ...]:
        """Return the questions of an attempt with this seed, in the quiz's order: the same ones every time."""
        if not self.pools:
            return self.questions
        drawn = self._drawn_by_seed.get(seed)
        if drawn is None:
            if len(self._drawn_by_seed) >= MAX_CACHED_DRAWS:
                self._drawn_by_seed.clear()
            drawn = self._drawn_by_seed[seed] = self._draw(seed)
        return drawn

    @property
    def question_count(self) -> int:
        """How many questions each player gets."""
        return len(self.common_questions) + sum(pool.size for pool in self.pools)

    @cached_property
    def max_score(self) -> int:
        """The points of an attempt that has all answers right; the same for every draw."""
        drawn = sum(pool.size * self._by_item[pool.item_ids[0]].points for pool in self.pools)
        return sum(question.points for question in self.common_questions) + drawn

    @cached_property
    def common_questions(self) -> tuple[Question, ...]:
        """The questions that all players get."""
        pooled = {item_id for pool in self.pools for item_id in pool.item_ids}
        return tuple(question for question in self.questions if question.item_id not in pooled)

    def _draw(self, seed: int) -> tuple[Question, ...]:
        random = Random(f"{seed}:draws")  # noqa: S311 - a draw, no secret
        chosen: list[Question] = []
        taken: set[int] = set()
        begin = 0
        for pool in self.pools:
            chosen += self.common_questions[begin : pool.position]
            begin = pool.position
            # Two pools may have an item in common. `draws` has seen to it that enough are left for the later one.
            drawn = random.sample([item_id for item_id in pool.item_ids if item_id not in taken], pool.size)
            taken.update(drawn)
            chosen += (self._by_item[item_id] for item_id in drawn)
        return (*chosen, *self.common_questions[begin:])

    @cached_property
    def _drawn_by_seed(self) -> dict[int, tuple[Question, ...]]:
        return {}

    @cached_property
    def _by_item(self) -> dict[int, Question]:
        return {question.item_id: question for question in self.questions}


def freeze(
    title: str,
    description: str,
    items: Iterable[Item],
    sections: Mapping[int, str | None] | None = None,
    random: Random = _random,
    *,
    points: Mapping[int, int] | None = None,
    pools: Iterable[Pool] = (),
) -> QuizDocument:
    """Make a document from the items as they are now.

    `sections` are titles by the position of their first question, `points` those of items that have not one point.

    The choices are shuffled first: in many banks the right one always comes first, and a choice's number must not
    reveal it; `random` is another source of their order for tests of a draft.
    """
    points = points or {}
    questions = []
    section: str | None = None
    for position, item in enumerate(items):
        section = (sections or {}).get(position, section)
        questions.append(_question(item, section, points.get(item.id, 1), random))
    return QuizDocument(title, description, tuple(questions), tuple(pools))


def collect_origins(questions: Iterable[HasOrigin]) -> list[Origin]:
    """Return the sources of questions, the most frequent first; questions without a source are left out."""
    addresses: dict[tuple[str | None, str | None], list[str | None]] = {}
    for question in questions:
        if question.source or question.licence or question.address:
            addresses.setdefault((question.source, question.licence), []).append(question.address)
    origins = [
        Origin(source, licence, group[0] if len(set(group)) == 1 else None, len(group))
        for (source, licence), group in addresses.items()
    ]
    return sorted(origins, key=lambda origin: -origin.questions)


def to_json(document: QuizDocument) -> dict[str, Any]:
    """Return the document as it is stored."""
    return {
        "title": document.title,
        "description": document.description,
        "questions": [_question_to_json(question) for question in document.questions],
        "pools": [asdict(pool) for pool in document.pools],
    }


def from_json(stored: dict[str, Any]) -> QuizDocument:
    """Return a stored document."""
    return QuizDocument(
        stored["title"],
        stored["description"],
        tuple(_question_from_json(question) for question in stored["questions"]),
        tuple(Pool(**pool | {"item_ids": tuple(pool["item_ids"])}) for pool in stored.get("pools", ())),
    )


def _question_to_json(question: Question) -> dict[str, Any]:
    """Return a question as it is stored; the fields that most questions leave empty are left out."""
    return {name: value for name, value in asdict(question).items() if value or name not in _SELDOM_FIELDS}


def _question_from_json(stored: dict[str, Any]) -> Question:
    lists = {name: tuple(stored.get(name, ())) for name in ("choices", "right", "pinned", "author_order")}
    return Question(**stored | lists)


def _question(item: Item, section: str | None, points: int, random: Random) -> Question:
    order = list(range(len(item.choices)))
    if item.kind != Kind.TRUE_FALSE:
        order = shuffle_unpinned(len(order), item.pinned, random)
    return Question(
        item_id=item.id,
        kind=item.kind,
        stem=item.stem,
        choices=tuple(item.choices[old] for old in order),
        right=tuple(sorted(order.index(old) for old in item.right)),
        explanation=item.explanation,
        category=item.category,
        difficulty=item.difficulty,
        source=item.source,
        licence=item.licence,
        address=item.address,
        points=points,
        author_order=tuple(order.index(position) for position in range(len(order))),
        pinned=item.pinned,
        section=section,
    )
