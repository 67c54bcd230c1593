"""Attempts with answers and scores, stored in a few statements without being played."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import insert

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.attempts import scoring, tokens
from webapp.attempts.models import Answer, Attempt
from webapp.quizzes.published import PublishedVersion

BATCH_SIZE = 2000


def store_attempts(
    work: UnitOfWork, quiz: PublishedVersion, attempts: Sequence[Mapping[int, int]], names: Sequence[str] = ()
) -> None:
    """Store a scored attempt of a new player for each of these answers (item → chosen bits)."""
    rows: list[dict[str, Any]] = []
    answers: list[dict[str, Any]] = []
    for number, chosen in enumerate(attempts):
        claim = tokens.new_claim(quiz.version_id, tokens.new_player_id(), f"player {number}", quiz.now)
        rows.append(
            {
                "id": claim.attempt_id,
                "quiz_version_id": quiz.version_id,
                "player_id": claim.player_id,
                "player_name": names[number] if names else claim.player_name,
                "started_at": quiz.now,
                "finished_at": quiz.now + timedelta(seconds=number % 600),
                "score": scoring.score(quiz.document, chosen),
                "milliseconds": 1000 * (number % 600),
            }
        )
        answers += [
            {"attempt_id": claim.attempt_id, "item_id": item, "chosen": bits, "answered_at": quiz.now}
            for item, bits in chosen.items()
        ]
    for table, values in ((Attempt, rows), (Answer, answers)):
        for begin in range(0, len(values), BATCH_SIZE):
            with work.transaction() as connection:
                connection.execute(insert(table), values[begin : begin + BATCH_SIZE])


def draw_answers(quiz: PublishedVersion, players: int, wrong_key: int | None = None) -> list[dict[int, int]]:
    """Draw answers of players who know more or less, some missing; of the item `wrong_key` a wrong choice is known."""
    chance = random.Random(19)
    attempts = []
    for _ in range(players):
        ability = chance.random()
        chosen: dict[int, int] = {}
        for number, question in enumerate(quiz.document.questions):
            if chance.random() < 0.08:
                continue
            knows = chance.random() < ability * (1 - 0.1 * number) + 0.1
            known = (question.right[0] + (question.item_id == wrong_key)) % 3
            chosen[question.item_id] = 1 << (known if knows else (known + chance.choice((1, 2))) % 3)
        attempts.append(chosen)
    return attempts
