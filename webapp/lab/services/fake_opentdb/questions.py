"""Question banks like that of Open Trivia DB, with all kinds of characters."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from webapp.bank.deduplication import dedupe_key

_NAMES = """General Knowledge|Entertainment: Books|Entertainment: Film|Entertainment: Music|
Entertainment: Musicals & Theatres|Entertainment: Television|Entertainment: Video Games|Entertainment: Board Games|
Science & Nature|Science: Computers|Science: Mathematics|Mythology|Sports|Geography|History|Politics|Art|Celebrities|
Animals|Vehicles|Entertainment: Comics|Science: Gadgets|Entertainment: Japanese Anime & Manga|
Entertainment: Cartoon & Animations"""
CATEGORIES = dict(enumerate((name.strip() for name in _NAMES.split("|")), start=9))
DIFFICULTIES = ("easy", "medium", "hard")
TYPES = ("multiple", "boolean")
REPEAT_PERIOD, BOOLEAN_PERIOD = 25, 4
"""One of 25 questions is repeated, with the same options or with others; one of 4 is of type boolean."""


@dataclass(frozen=True)
class OpenTdbQuestion:
    """A question in plain text, before any encoding."""

    category: int
    type: str
    difficulty: str
    question: str
    correct: str
    incorrect: tuple[str, ...]


_STEMS = (
    "What is the name of number {0}?",
    'Who said "{0} & {0}", and wasn\'t right?',
    "Which hy\u00adphen is soft in {0}?",
    "Which mark\u200e comes before {0}?",
    "What does <b>{0}</b> look like?",
    "How is &amp; number {0} shown?",
    "Où est le café n° {0}, près de π?",
    "Is 50% + {0}/7 = 100%?",
    "Which animal is 🦊 number {0}?",
    "In {0}, who had said so?",
)


def make_questions(count: int, categories: int | Sequence[int] = 24, seed: int = 0) -> tuple[OpenTdbQuestion, ...]:
    """Make a bank: all kinds of characters, some records twice, some stems repeated with other options."""
    ids = list(CATEGORIES)[:categories] if isinstance(categories, int) else list(categories)
    rng = random.Random(seed)
    bank: list[OpenTdbQuestion] = []
    for number in range(count):
        question = _make_question(number, ids[number % len(ids)], rng)
        earlier = bank[number - len(ids)] if number >= len(ids) else None
        if earlier and number % REPEAT_PERIOD == REPEAT_PERIOD - 1:
            question = earlier
        elif earlier and number % REPEAT_PERIOD == REPEAT_PERIOD // 2 and question.type == "multiple":
            question = replace(question, question=earlier.question)
        bank.append(question)
    return tuple(bank)


def _make_question(number: int, category: int, rng: random.Random) -> OpenTdbQuestion:
    stem = _STEMS[number % len(_STEMS)].format(number)
    difficulty = rng.choice(DIFFICULTIES)
    if number % BOOLEAN_PERIOD == BOOLEAN_PERIOD - 1:
        correct, other = rng.sample(("True", "False"), 2)
        return OpenTdbQuestion(category, "boolean", difficulty, stem, correct, (other,))
    wrong = (f"{number} & more", f"'{number}' < {number + 1}", f"naïve {number}")
    return OpenTdbQuestion(category, "multiple", difficulty, stem, f"Number {number}", wrong)


def unique_questions(bank: Iterable[OpenTdbQuestion]) -> set[OpenTdbQuestion]:
    """Return what a complete collection has: every record once."""
    return set(bank)


def dedupe_keys(bank: Iterable[OpenTdbQuestion]) -> set[bytes]:
    """Return the dedupe keys of every record."""
    return {dedupe_key(question.question, (question.correct, *question.incorrect), (0,)) for question in bank}
