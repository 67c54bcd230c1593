"""Schemas of quizzes."""

from __future__ import annotations

from marshmallow import fields, validate

from webapp.quizzes.drafts import MAX_TITLE_LENGTH
from webapp.quizzes.published import QuizState
from webapp.quizzes.rules import (
    MAX_ATTEMPT_PAUSE,
    MAX_ATTEMPTS,
    MAX_KEEP_DAYS,
    MAX_TIME_LIMIT,
    MIN_TIME_LIMIT,
    AnswersShown,
    CountedAttempt,
)
from webapp.web.rest.fields import TextField, TimeField
from webapp.web.rest.openapi import BaseSchema

ANSWERS_SHOWN_DESCRIPTION = (
    "When a player who has finished sees the right answers. A second anonymous player cannot be told from a first one: "
    "with `after_finishing` anyone can read the answers and play again under another name before the quiz closes"
)
TIME_LIMIT_DESCRIPTION = (
    "Seconds from the start of an attempt for which it takes answers, by the database's clock; "
    "null: as long as the quiz does"
)

UNLISTED_DESCRIPTION = (
    "No list names the quiz; it is open to all who have its address, its join code or its id. That hides it, and keeps "
    "nobody out who has one of them"
)

KEEP_DAYS_DESCRIPTION = (
    "Days after which attempts that are over are deleted with their answers: after the quiz has closed, or where it "
    "has no end, after the attempt was finished. null: as long as the operator of the service allows"
)


class ListArguments(BaseSchema):
    """Query of the list of published quizzes."""

    state = fields.Enum(QuizState, by_value=True, load_default=QuizState.OPEN)
    cursor = TextField()
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))


class QuizLine(BaseSchema):
    """A published quiz in a list."""

    id = fields.Integer(attribute="quiz_id", required=True)
    slug = fields.String(required=True)
    title = fields.String(required=True)
    number = fields.Integer(required=True, metadata={"description": "Which published version this is"})
    question_count = fields.Integer(required=True)
    opens_at = TimeField(required=True)
    closes_at = TimeField(required=True, allow_none=True, metadata={"description": "null: the quiz has no end"})
    answers_shown = fields.Enum(
        AnswersShown, by_value=True, required=True, metadata={"description": ANSWERS_SHOWN_DESCRIPTION}
    )
    unlisted = fields.Boolean(attribute="is_unlisted", required=True, metadata={"description": UNLISTED_DESCRIPTION})
    keep_days = fields.Integer(required=True, allow_none=True, metadata={"description": KEEP_DAYS_DESCRIPTION})
    time_limit = fields.Integer(
        attribute="rules.time_limit", required=True, allow_none=True, metadata={"description": TIME_LIMIT_DESCRIPTION}
    )
    shuffles_questions = fields.Boolean(attribute="rules.shuffles_questions", required=True)
    shuffles_choices = fields.Boolean(attribute="rules.shuffles_choices", required=True)
    max_attempts = fields.Integer(
        attribute="rules.max_attempts", required=True, metadata={"description": "How often a player may play"}
    )
    counted_attempt = fields.Enum(
        CountedAttempt,
        by_value=True,
        attribute="rules.counted_attempt",
        required=True,
        metadata={"description": "Which of a player's attempts is in results and leaderboard"},
    )
    attempt_pause = fields.Integer(
        attribute="rules.attempt_pause",
        required=True,
        metadata={"description": "Seconds from the end of an attempt to the next one of the same player"},
    )
    state = fields.Enum(QuizState, by_value=True, required=True)


class QuizLines(BaseSchema):
    """A page of published quizzes."""

    quizzes = fields.List(fields.Nested(QuizLine), required=True)
    next = fields.String(required=True, allow_none=True, metadata={"description": "Cursor of the next page"})


class PublicQuestion(BaseSchema):
    """A question as players see it: without its right answer."""

    item = fields.Integer(attribute="item_id", required=True)
    kind = fields.String(required=True)
    stem = fields.String(required=True)
    section = fields.String(
        required=True, allow_none=True, metadata={"description": "The title of the section that it is in"}
    )
    choices = fields.List(fields.String(), required=True)
    category = fields.String(required=True, allow_none=True)
    difficulty = fields.String(required=True, allow_none=True)
    source = fields.String(required=True, allow_none=True)
    licence = fields.String(required=True, allow_none=True)
    points = fields.Integer(required=True, metadata={"description": "For exactly the right choices; otherwise none"})


class PublicDraw(BaseSchema):
    """Questions that are drawn for each player. Which ones, an attempt says: its start has their items."""

    position = fields.Integer(required=True, metadata={"description": "How many of `questions` come before them"})
    size = fields.Integer(required=True)
    points = fields.Integer(required=True, metadata={"description": "Of each question"})


class PublicQuiz(QuizLine):
    """A published quiz; its questions are shown from the moment it opens."""

    description = fields.String(required=True)
    out_of = fields.Integer(required=True, metadata={"description": "The highest possible score"})
    questions = fields.List(
        fields.Nested(PublicQuestion), required=True, metadata={"description": "Those that all players get"}
    )
    draws = fields.List(
        fields.Nested(PublicDraw), required=True, metadata={"description": "How many more each player gets"}
    )


class _FurtherRules(BaseSchema):
    """Rules of attempts; one that is not given stays as it is."""

    time_limit = fields.Integer(
        strict=True,
        allow_none=True,
        validate=validate.Range(MIN_TIME_LIMIT, MAX_TIME_LIMIT),
        metadata={"description": TIME_LIMIT_DESCRIPTION},
    )
    shuffles_questions = fields.Boolean()
    shuffles_choices = fields.Boolean()
    max_attempts = fields.Integer(strict=True, validate=validate.Range(1, MAX_ATTEMPTS))
    counted_attempt = fields.Enum(
        CountedAttempt,
        by_value=True,
        metadata={"description": "Which of a player's attempts is in results and leaderboard"},
    )
    attempt_pause = fields.Integer(
        strict=True,
        validate=validate.Range(0, MAX_ATTEMPT_PAUSE),
        metadata={"description": "Seconds from the end of an attempt to the next one of the same player"},
    )


class Publication(_FurtherRules):
    """The rules of a quiz that is published. Times carry their zone; the database's clock decides.

    Of a quiz that is published again, a rule that is not given stays as it is.
    """

    opens_at = TimeField(load_default=None, allow_none=True, metadata={"description": "Default: now"})
    closes_at = TimeField(load_default=None, allow_none=True, metadata={"description": "Default: the quiz has no end"})
    answers_shown = fields.Enum(
        AnswersShown,
        by_value=True,
        load_default=None,
        allow_none=True,
        metadata={
            "description": "Default: `after_closing`, and where there is no end `after_finishing`. "
            + ANSWERS_SHOWN_DESCRIPTION
        },
    )
    unlisted = fields.Boolean(
        load_default=None,
        allow_none=True,
        attribute="is_unlisted",
        metadata={"description": "Default: false. " + UNLISTED_DESCRIPTION},
    )


class RulesIn(_FurtherRules):
    """Changes of the rules of a published quiz; a rule that is not given stays as it is."""

    title = TextField(validate=validate.Length(1, MAX_TITLE_LENGTH))
    opens_at = TimeField()
    closes_at = TimeField(allow_none=True, metadata={"description": "null: no end"})
    answers_shown = fields.Enum(
        AnswersShown,
        by_value=True,
        allow_none=True,
        attribute="chosen_answers_shown",
        metadata={
            "description": "null: `after_closing`, and where there is no end `after_finishing`. "
            + ANSWERS_SHOWN_DESCRIPTION
        },
    )
    unlisted = fields.Boolean(attribute="is_unlisted", metadata={"description": UNLISTED_DESCRIPTION})
    keep_days = fields.Integer(
        strict=True,
        allow_none=True,
        validate=validate.Range(1, MAX_KEEP_DAYS),
        metadata={"description": KEEP_DAYS_DESCRIPTION},
    )
