"""The document of a published version: its questions with their right answers, which only the server may know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from random import Random, SystemRandom
from typing import Any, Protocol

from webapp.bank.item_kinds import Kind
from webapp.bank.items import Item
from webapp.errors import NotFoundError

_random = SystemRandom()


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

    def question(self, item_id: int) -> Question:
        """Return the question made from this item.

        Raises:
            NotFoundError: when the quiz does not have it.
        """
        try:
            return self._by_item[item_id]
        except KeyError:
            raise NotFoundError(f"This quiz has no item {item_id}.") from None

    @cached_property
    def _by_item(self) -> dict[int, Question]:
        return {question.item_id: question for question in self.questions}


def freeze(title: str, description: str, items: Iterable[Item], random: Random = _random) -> QuizDocument:
    """Make a document from the items as they are now.

    The choices are shuffled first: in many banks the right one always comes first, and a choice's number must not
    reveal it; `random` is another source of their order for tests of a draft.
    """
    return QuizDocument(title, description, tuple(_question(item, random) for item in items))


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


def _question(item: Item, random: Random) -> Question:
    order = list(range(len(item.choices)))
    if item.kind != Kind.TRUE_FALSE:
        random.shuffle(order)
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
