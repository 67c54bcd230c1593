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

_random = SystemRandom()
_SELDOM_FIELDS = {"pinned", "section"}


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
    pinned: tuple[int, ...] = ()
    """Positions of the choices that are shown in their places, whatever the order of the others."""
    section: str | None = None
    """The title of the section that the question is in; None when it is in none."""


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
            raise NotFoundError(message("This quiz has no item %(item)s.", item=item_id)) from None

    @cached_property
    def _by_item(self) -> dict[int, Question]:
        return {question.item_id: question for question in self.questions}


def freeze(
    title: str,
    description: str,
    items: Iterable[Item],
    sections: Mapping[int, str] | None = None,
    random: Random = _random,
) -> QuizDocument:
    """Make a document from the items as they are now; `sections` are titles by the position of their first question.

    The choices are shuffled first: in many banks the right one always comes first, and a choice's number must not
    reveal it; `random` is another source of their order for tests of a draft.
    """
    questions = []
    section: str | None = None
    for position, item in enumerate(items):
        section = (sections or {}).get(position, section)
        questions.append(_question(item, section, random))
    return QuizDocument(title, description, tuple(questions))


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
    }


def from_json(stored: dict[str, Any]) -> QuizDocument:
    """Return a stored document."""
    return QuizDocument(
        stored["title"],
        stored["description"],
        tuple(_question_from_json(question) for question in stored["questions"]),
    )


def _question_to_json(question: Question) -> dict[str, Any]:
    """Return a question as it is stored; the fields that most questions leave empty are left out."""
    return {name: value for name, value in asdict(question).items() if value or name not in _SELDOM_FIELDS}


def _question_from_json(stored: dict[str, Any]) -> Question:
    lists = {name: tuple(stored.get(name, ())) for name in ("choices", "right", "pinned")}
    return Question(**stored | lists)


def _question(item: Item, section: str | None, random: Random) -> Question:
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
        pinned=item.pinned,
        section=section,
    )
