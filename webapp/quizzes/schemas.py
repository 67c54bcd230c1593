"""What quizzes look like over REST."""

from __future__ import annotations

from marshmallow import fields, validate

from webapp.quizzes.drafts import LONGEST_DESCRIPTION, LONGEST_QUIZ, LONGEST_SLUG, LONGEST_TITLE
from webapp.quizzes.published import State
from webapp.web.cursors import LARGEST_ID
from webapp.web.openapi import Schema, Text


class ListArguments(Schema):
    """Query of the list of published quizzes."""

    state = fields.Enum(State, by_value=True, load_default=State.OPEN)
    cursor = Text()
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))


class DraftListArguments(Schema):
    """Query of the list of drafts."""

    cursor = Text()
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))


class QuizLine(Schema):
    """A published quiz in a list."""

    id = fields.Integer(attribute="quiz_id", required=True)
    slug = fields.String(required=True)
    title = fields.String(required=True)
    number = fields.Integer(required=True, metadata={"description": "Which published version this is"})
    question_count = fields.Integer(required=True)
    opens_at = fields.AwareDateTime(required=True)
    closes_at = fields.AwareDateTime(required=True)
    state = fields.Enum(State, by_value=True, required=True)


class QuizLines(Schema):
    """A page of published quizzes."""

    quizzes = fields.List(fields.Nested(QuizLine), required=True)
    next = fields.String(required=True, allow_none=True, metadata={"description": "Cursor of the next page"})


class PublicQuestion(Schema):
    """A question as players see it: without its answer."""

    item = fields.Integer(attribute="item_id", required=True)
    kind = fields.String(required=True)
    stem = fields.String(required=True)
    choices = fields.List(fields.String(), required=True)
    category = fields.String(required=True, allow_none=True)
    difficulty = fields.String(required=True, allow_none=True)
    source = fields.String(required=True, allow_none=True)
    licence = fields.String(required=True, allow_none=True)


class PublicQuiz(QuizLine):
    """A published quiz; its questions are shown from the moment it opens."""

    description = fields.String(required=True)
    questions = fields.List(fields.Nested(PublicQuestion), required=True)


class DraftIn(Schema):
    """What an author writes."""

    title = Text(required=True, validate=validate.Length(1, LONGEST_TITLE))
    description = Text(load_default="", validate=validate.Length(max=LONGEST_DESCRIPTION))
    slug = Text(load_default=None, allow_none=True, validate=validate.Length(1, LONGEST_SLUG))
    items = fields.List(
        fields.Integer(strict=True, validate=validate.Range(1, LARGEST_ID)),
        load_default=list,
        validate=validate.Length(max=LONGEST_QUIZ),
        metadata={"description": "Ids of items of the bank, in order"},
    )


class DraftOut(Schema):
    """A draft as it stands."""

    id = fields.Integer(required=True)
    slug = fields.String(required=True)
    title = fields.String(required=True)
    description = fields.String(required=True)
    items = fields.List(fields.Integer(), attribute="item_ids", required=True)
    version = fields.Integer(required=True)
    changed_at = fields.AwareDateTime(required=True)


class DraftLine(Schema):
    """A draft in a list."""

    id = fields.Integer(required=True)
    slug = fields.String(required=True)
    title = fields.String(required=True)
    version = fields.Integer(required=True)
    published = fields.Boolean(required=True)
    changed_at = fields.AwareDateTime(required=True)


class DraftLines(Schema):
    """A page of drafts."""

    quizzes = fields.List(fields.Nested(DraftLine), required=True)
    next = fields.String(required=True, allow_none=True, metadata={"description": "Cursor of the next page"})


class Window(Schema):
    """When a quiz is open. Times carry their zone; the database's clock decides."""

    opens_at = fields.AwareDateTime(load_default=None, allow_none=True, metadata={"description": "Default: now"})
    closes_at = fields.AwareDateTime(
        load_default=None, allow_none=True, metadata={"description": "Default: a week after it opens"}
    )
