"""Schemas of quizzes."""

from __future__ import annotations

from marshmallow import fields, validate

from webapp.quizzes.drafts import MAX_DESCRIPTION_LENGTH, MAX_QUIZ_ITEMS, MAX_SLUG_LENGTH, MAX_TITLE_LENGTH
from webapp.quizzes.published import QuizState
from webapp.quizzes.rules import MAX_KEEP_DAYS, AnswersShown
from webapp.web.rest.fields import TextField, TimeField
from webapp.web.rest.openapi import BaseSchema
from webapp.web.rest.pagination import MAX_ID

ANSWERS_SHOWN_DESCRIPTION = (
    "When a player who has finished sees the right answers. A second anonymous player cannot be told from a first one: "
    "with `after_finishing` anyone can read the answers and play again under another name before the quiz closes"
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
    unlisted = fields.Boolean(attribute="is_unlisted", required=True, metadata={"description": UNLISTED_DESCRIPTION})
    keep_days = fields.Integer(required=True, allow_none=True, metadata={"description": KEEP_DAYS_DESCRIPTION})
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


class PublicQuiz(QuizLine):
    """A published quiz; its questions are shown from the moment it opens."""

    description = fields.String(required=True)
    questions = fields.List(fields.Nested(PublicQuestion), required=True)


class SectionSchema(BaseSchema):
    """A title above a run of items."""

    before = fields.Integer(
        required=True,
        strict=True,
        validate=validate.Range(0, MAX_QUIZ_ITEMS),
        metadata={"description": "The position in `items`, counted from 0, of the section's first item"},
    )
    title = TextField(required=True, validate=validate.Length(1, MAX_TITLE_LENGTH))


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
    sections = fields.List(
        fields.Nested(SectionSchema), load_default=list, validate=validate.Length(max=MAX_QUIZ_ITEMS)
    )


class DraftOut(BaseSchema):
    """A draft in its present state."""

    id = fields.Integer(required=True)
    slug = fields.String(required=True)
    title = fields.String(required=True)
    description = fields.String(required=True)
    items = fields.List(fields.Integer(), attribute="item_ids", required=True)
    sections = fields.List(fields.Nested(SectionSchema), required=True)
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


class Publication(BaseSchema):
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


class RulesIn(BaseSchema):
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
