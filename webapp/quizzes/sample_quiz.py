"""A small quiz of our own, so that there is one to play after the first start."""

from __future__ import annotations

from sqlalchemy import Connection

from webapp.bank import items
from webapp.bank.item_draft import ItemDraft
from webapp.bank.item_kinds import Kind
from webapp.quizzes import drafts, publishing
from webapp.quizzes.drafts import DraftValues

SINGLE, MULTIPLE, TRUE_FALSE = Kind.SINGLE, Kind.MULTIPLE, Kind.TRUE_FALSE

SAMPLE_ITEMS: tuple[tuple[Kind, str, tuple[str, ...], tuple[int, ...], str], ...] = (
    (
        SINGLE,
        "Two thousand people open a quiz in the same second, on 16 database connections. What helps them most?",
        (
            "Not needing a connection to open it",
            "A pool of 2,000 connections",
            "A longer time-out",
            "Asking them to wait",
        ),
        (0,),
        "A published quiz does not change, so it can be answered from memory. The fastest query is none.",
    ),
    (
        TRUE_FALSE,
        "A connection pool with more connections always answers more requests.",
        ("True", "False"),
        (1,),
        "Past a point they only compete for the same cores, locks and disk. The lab finds that point by measuring.",
    ),
    (
        SINGLE,
        "What does “first come, first served” protect you from in a queue?",
        ("Starving", "Rain", "Deadlocks", "Typing errors"),
        (0,),
        "When newcomers may overtake, one request can wait for ever while the average looks fine.",
    ),
    (
        MULTIPLE,
        "Which of these animals can swim?",
        ("Polar bear", "Elephant", "Otter", "Giant Pacific octopus"),
        (0, 1, 2, 3),
        "All of them. Elephants swim for hours and breathe through the trunk.",
    ),
    (
        SINGLE,
        "How many lanes does an Olympic swimming pool have?",
        ("6", "8", "10", "12"),
        (2,),
        "Ten are marked; races use the eight in the middle, so that no one swims beside a wall.",
    ),
    (
        SINGLE,
        "A cup holds ten coins. You take out three. How many coins do you have?",
        ("Three", "Seven", "Ten", "Thirteen"),
        (0,),
        "You have the three that you took; seven are in the cup.",
    ),
    (
        TRUE_FALSE,
        "Water expands when it freezes.",
        ("True", "False"),
        (0,),
        "By about nine per cent, which is why ice floats and pipes burst.",
    ),
    (
        MULTIPLE,
        "Which of these numbers are prime?",
        ("51", "53", "57", "59"),
        (1, 3),
        "51 is 3 × 17 and 57 is 3 × 19.",
    ),
)


def add_sample_quiz(connection: Connection) -> None:
    """Add the items to the bank and publish a quiz made of them."""
    ids = []
    for kind, stem, choices, right, explanation in SAMPLE_ITEMS:
        draft = ItemDraft(
            kind=kind,
            stem=stem,
            choices=choices,
            right=right,
            explanation=explanation,
            category="Poolproof",
            difficulty=None,
            source="Poolproof",
            licence="MIT",
        )
        ids.append(items.create(connection, draft).id)
    values = DraftValues("Warm-up", "Eight questions about pools of all kinds.", "warm-up", tuple(ids))
    quiz = drafts.create(connection, values)
    publishing.publish(connection, quiz.id, None, None)
