"""Schemas of quizzes."""

from __future__ import annotations

from marshmallow import fields, validate

from webapp.bank.item_draft import MAX_CATEGORY_LENGTH
from webapp.bank.item_kinds import Difficulty
from webapp.quizzes.drafts import MAX_DESCRIPTION_LENGTH, MAX_QUIZ_ITEMS, MAX_SLUG_LENGTH, MAX_TITLE_LENGTH
from webapp.quizzes.draws import MAX_DRAWS, MAX_POINTS
from webapp.quizzes.published import QuizState
from webapp.quizzes.rules import (
    MAX_ATTEMPT_PAUSE,
    MAX_ATTEMPTS,
    MAX_TIME_LIMIT,
    MIN_TIME_LIMIT,
    AnswersShown,
    CountedAttempt,
)
from webapp.web.rest.fields import TextField, TimeField
from webapp.web.rest.openapi import BaseSchema
from webapp.web.rest.pagination import MAX_ID

ANSWERS_SHOWN_DESCRIPTION = (
    "When a player who has finished sees the right answers. A second anonymous player cannot be told from a first one: "
    "with `after_finishing` anyone can read the answers and play again under another name before the quiz closes"
)
TIME_LIMIT_DESCRIPTION = (
    "Seconds from the start of an attempt for which it takes answers, by the database's clock; "
    "null: as long as the quiz does"
)


class ListArguments(BaseSchema):
    """Query of the list of published quizzes."""

    state = fields.Enum(QuizState, by_value=True, load_default=QuizState.OPEN)
    cursor = TextField()
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))


class DraftListArguments(BaseSchema):
    """Query of the list of drafts."""

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


class DrawSchema(BaseSchema):
    """So many items of the bank that match all conditions; null is no condition."""

    position = fields.Integer(
        strict=True,
        load_default=MAX_QUIZ_ITEMS,
        validate=validate.Range(0, MAX_QUIZ_ITEMS),
        metadata={"description": "How many of `items` come before it; at most all of them, which is the default"},
    )
    size = fields.Integer(strict=True, required=True, validate=validate.Range(1, MAX_QUIZ_ITEMS))
    category = TextField(load_default=None, allow_none=True, validate=validate.Length(1, MAX_CATEGORY_LENGTH))
    difficulty = fields.Enum(Difficulty, by_value=True, load_default=None, allow_none=True)
    points = fields.Integer(
        strict=True,
        load_default=1,
        validate=validate.Range(1, MAX_POINTS),
        metadata={"description": "Of each item that is drawn"},
    )
    for_each_player = fields.Boolean(
        load_default=True,
        metadata={"description": "Whether each player gets a draw of their own, or the publication makes one for all"},
    )


class DraftIn(BaseSchema):
    """The fields that an author edits."""

    title = TextField(required=True, validate=validate.Length(1, MAX_TITLE_LENGTH))
    description = TextField(load_default="", validate=validate.Length(max=MAX_DESCRIPTION_LENGTH))
    slug = TextField(load_default=None, allow_none=True, validate=validate.Length(1, MAX_SLUG_LENGTH))
    items = fields.List(
        fields.Integer(strict=True, validate=validate.Range(1, MAX_ID)),
        load_default=list,
        validate=validate.Length(max=MAX_QUIZ_ITEMS),
        metadata={"description": "Ids of items of the bank, in order"},
    )
    points = fields.Dict(
        keys=fields.Integer(),
        values=fields.Integer(strict=True, validate=validate.Range(1, MAX_POINTS)),
        load_default=dict,
        validate=validate.Length(max=MAX_QUIZ_ITEMS),
        metadata={"description": "Item → points, of items that have not one point"},
    )
    draws = fields.List(
        fields.Nested(DrawSchema),
        load_default=list,
        validate=validate.Length(max=MAX_DRAWS),
        metadata={"description": "Items drawn from those that match when the quiz is published"},
    )


class DraftOut(BaseSchema):
    """A draft in its present state."""

    id = fields.Integer(required=True)
    slug = fields.String(required=True)
    title = fields.String(required=True)
    description = fields.String(required=True)
    items = fields.List(fields.Integer(), attribute="item_ids", required=True)
    points = fields.Dict(
        keys=fields.Integer(),
        values=fields.Integer(),
        required=True,
        metadata={"description": "Item → points, of items that have not one point"},
    )
    draws = fields.List(fields.Nested(DrawSchema), required=True)
    version = fields.Integer(required=True)
    changed_at = TimeField(required=True)


class DraftLine(BaseSchema):
    """A draft in a list."""

    id = fields.Integer(required=True)
    slug = fields.String(required=True)
    title = fields.String(required=True)
    version = fields.Integer(required=True)
    published = fields.Boolean(required=True)
    changed_at = TimeField(required=True)


class DraftLines(BaseSchema):
    """A page of drafts."""

    quizzes = fields.List(fields.Nested(DraftLine), required=True)
    next = fields.String(required=True, allow_none=True, metadata={"description": "Cursor of the next page"})


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
