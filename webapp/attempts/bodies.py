"""Attempts and boards as bodies of REST answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from webapp.attempts.board import Standings
from webapp.attempts.playing import Started
from webapp.attempts.views import AttemptView
from webapp.quizzes.published import Version

_FACTS = (
    "quiz", "slug", "title", "player_name", "state", "closes_at", "started_at", "finished_at", "score", "out_of",
    "milliseconds", "rank",
)  # fmt: skip


def started(one: Started, good_for: int) -> dict[str, Any]:
    """Return a new attempt; it can be played for `good_for` seconds."""
    return {
        "token": one.token,
        "player": one.player_token,
        "started_at": one.claim.started_at,
        "expires_in": good_for,
    }


def answered(item: int, choices: Sequence[int]) -> dict[str, Any]:
    """Return an answer that is stored."""
    return {"item": item, "choices": choices, "saved": True}


def board(quiz: int, version: Version, standings: Standings, limit: int) -> dict[str, Any]:
    """Return the first `limit` places of a board."""
    places = [
        {"rank": one.rank, "player_name": one.player_name, "score": one.score, "milliseconds": one.milliseconds}
        for one in standings.places[:limit]
    ]
    return {"quiz": quiz, "out_of": version.question_count, "finished": standings.finished, "places": places}


def attempt(shown: AttemptView) -> dict[str, Any]:
    """Return an attempt; with the right answers and explanations once it is finished."""
    finished = shown.finished_at is not None
    questions = []
    for question in shown.questions:
        in_place = sorted(question.choices, key=lambda choice: choice.position)
        body: dict[str, Any] = {
            "item": question.item,
            "kind": question.kind,
            "stem": question.stem,
            "choices": [choice.text for choice in in_place],
            "order": [choice.position for choice in question.choices],
            "chosen": [choice.position for choice in in_place if choice.chosen],
        }
        if finished:
            body["right"] = [choice.position for choice in in_place if choice.right]
            body |= {"is_right": question.is_right, "explanation": question.explanation}
        questions.append(body)
    return {name: getattr(shown, name) for name in _FACTS} | {"questions": questions}
