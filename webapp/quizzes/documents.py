"""The document of a published version: what is asked, and what only the server may know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from random import SystemRandom
from typing import Any, Protocol

from webapp.bank.item_kinds import Kind
from webapp.bank.items import Item
from webapp.errors import NotFoundError

_random = SystemRandom()


@dataclass(frozen=True)
class Question:
    """An item as it was when the quiz was published. `right` must not leave the server early."""

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
    """Documents that were published before it was kept have none."""


@dataclass(frozen=True)
class Origin:
    """Where some questions come from; `address` when all of them have the same."""

    source: str | None
    licence: str | None
    address: str | None
    questions: int


class HasOrigin(Protocol):
    """A question or an item."""

    @property
    def source(self) -> str | None:
        """Who made it."""

    @property
    def licence(self) -> str | None:
        """Under what it may be used."""

    @property
    def address(self) -> str | None:
        """Where the source has it."""


@dataclass(frozen=True)
class QuizDocument:
    """What a published version asks. It never changes."""

    title: str
    description: str
    questions: tuple[Question, ...]

    def question(self, item_id: int) -> Question:
        """Return the question made from this item.

        Raises:
            NotFoundError: when the quiz does not ask it.
        """
        try:
            return self._by_item[item_id]
        except KeyError:
            raise NotFoundError(f"This quiz has no item {item_id}.") from None

    @cached_property
    def _by_item(self) -> dict[int, Question]:
        return {question.item_id: question for question in self.questions}


def freeze(title: str, description: str, items: Iterable[Item]) -> QuizDocument:
    """Make a document from the items as they are now.

    The choices are put into a random order first: in many banks the right one always
    comes first, and a choice's number must tell nothing.
    """
    return QuizDocument(title, description, tuple(_question(item) for item in items))


def collect_origins(questions: Iterable[HasOrigin]) -> list[Origin]:
    """Return where questions come from, what most come from first; of those that do not say it, nothing."""
    addresses: dict[tuple[str | None, str | None], list[str | None]] = {}
    for one in questions:
        if one.source or one.licence or one.address:
            addresses.setdefault((one.source, one.licence), []).append(one.address)
    found = [
        Origin(source, licence, known[0] if len(set(known)) == 1 else None, len(known))
        for (source, licence), known in addresses.items()
    ]
    return sorted(found, key=lambda one: -one.questions)


def to_json(document: QuizDocument) -> dict[str, Any]:
    """Return the document as it is stored."""
    return {
        "title": document.title,
        "description": document.description,
        "questions": [asdict(question) for question in document.questions],
    }


def from_json(stored: dict[str, Any]) -> QuizDocument:
    """Return a stored document."""
    return QuizDocument(
        stored["title"],
        stored["description"],
        tuple(
            Question(**{**question, "choices": tuple(question["choices"]), "right": tuple(question["right"])})
            for question in stored["questions"]
        ),
    )


def _question(item: Item) -> Question:
    order = list(range(len(item.choices)))
    if item.kind != Kind.TRUE_FALSE:
        _random.shuffle(order)
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
    )
