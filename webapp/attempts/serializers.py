"""Attempts and leaderboards as bodies of REST responses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from webapp.attempts.erasure import StoredData
from webapp.attempts.leaderboard_cache import Leaderboard
from webapp.attempts.presenter import AttemptView
from webapp.attempts.scoring import as_positions
from webapp.attempts.service import StartedAttempt
from webapp.attempts.tokens import AttemptClaim
from webapp.quizzes.published import PublishedVersion

_ATTEMPT_FIELDS = (
    "quiz", "slug", "title", "player_name", "state", "closes_at", "answers_shown", "started_at", "finished_at", "score",
    "out_of", "milliseconds", "rank", "number", "ends_at", "seconds_left",
)  # fmt: skip


def dump_started(started_attempt: StartedAttempt) -> dict[str, Any]:
    """Return an attempt that was started, and for how long it takes answers."""
    return {
        "token": started_attempt.token,
        "player": started_attempt.player_token,
        "started_at": started_attempt.claim.started_at,
        "expires_in": started_attempt.seconds_left,
        "seconds_left": started_attempt.seconds_to_end,
        "number": started_attempt.claim.number,
        "items": started_attempt.item_ids,
    }


def dump_answer(item_id: int, choices: Sequence[int]) -> dict[str, Any]:
    """Return an answer that is stored."""
    return {"item": item_id, "choices": choices, "saved": True}


def dump_leaderboard(quiz_id: int, version: PublishedVersion, leaderboard: Leaderboard, limit: int) -> dict[str, Any]:
    """Return the first `limit` places of a leaderboard."""
    places = [
        {
            "rank": place.rank,
            "player_name": place.player_name,
            "score": place.score,
            "milliseconds": place.milliseconds,
        }
        for place in leaderboard.places[:limit]
    ]
    return {
        "quiz": quiz_id,
        "out_of": version.document.max_score,
        "finished": leaderboard.finished_count,
        "places": places,
    }


def dump_data(
    claim: AttemptClaim, version: PublishedVersion, data: StoredData, kept_days: int | None
) -> dict[str, Any]:
    """Return all that is stored of an attempt, with the texts of what was chosen."""
    questions = {question.item_id: question for question in version.document.questions}
    answers = []
    for answer in data.answers:
        question, choices = questions.get(answer.item_id), as_positions(answer.chosen)
        answers.append(
            {
                "item": answer.item_id,
                "stem": question.stem if question else None,
                "choices": choices,
                "texts": [question.choices[choice] for choice in choices] if question else [],
                "sequence": answer.sequence,
                "answered_at": answer.answered_at,
            }
        )
    return {
        "quiz": version.quiz_id,
        "title": version.title,
        "attempt": claim.attempt_id,
        "player": claim.player_id,
        "player_name": claim.player_name,
        "started_at": data.started_at or claim.started_at,
        "finished_at": data.finished_at,
        "score": data.score,
        "milliseconds": data.milliseconds,
        "kept_days": kept_days,
        "answers": answers,
    }


def dump_attempt(view: AttemptView) -> dict[str, Any]:
    """Return an attempt; with the right answers and explanations once they are shown."""
    questions = []
    for question in view.questions:
        by_position = sorted(question.choices, key=lambda choice: choice.position)
        body: dict[str, Any] = {
            "item": question.item,
            "kind": question.kind,
            "stem": question.stem,
            "points": question.points,
            "section": question.section,
            "choices": [choice.text for choice in by_position],
            "order": [choice.position for choice in question.choices],
            "chosen": [choice.position for choice in by_position if choice.chosen],
        }
        if view.shows_answers:
            body["right"] = [choice.position for choice in by_position if choice.right]
            body |= {"is_right": question.is_right, "explanation": question.explanation}
        questions.append(body)
    return {name: getattr(view, name) for name in _ATTEMPT_FIELDS} | {"questions": questions}
