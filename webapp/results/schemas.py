"""Schemas of results."""

from __future__ import annotations

from marshmallow import fields, validate

from webapp.results.exports import ExportFormat
from webapp.results.marks import AnswerMark
from webapp.web.rest.fields import TextField
from webapp.web.rest.openapi import BaseSchema


class ChoiceOut(BaseSchema):
    """A choice and how many players chose it."""

    text = fields.String(required=True)
    right = fields.Boolean(required=True)
    count = fields.Integer(required=True)
    correlation = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "Of having chosen it with the points for all other questions, in scored attempts"},
    )


class QuestionOut(BaseSchema):
    """A question and how it was answered."""

    item = fields.Integer(required=True)
    stem = fields.String(required=True)
    answered = fields.Integer(required=True, metadata={"description": "Stored answers, also of who is still playing"})
    right = fields.Integer(required=True)
    share_right = fields.Float(required=True, allow_none=True)
    facility = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "Points reached as a share of those possible, in scored attempts; no answer has none"},
    )
    discrimination = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "Correlation of its points with those of all other questions, in scored attempts"},
    )
    better_choice = fields.Integer(
        required=True,
        allow_none=True,
        metadata={
            "description": "The key is probably wrong, and this position is the right one: of at least 20 scored "
            "attempts the discrimination is negative, and this wrong choice correlates with the rest by 0.2 or more"
        },
    )
    choices = fields.List(fields.Nested(ChoiceOut), required=True)


class DeletedOut(BaseSchema):
    """Totals of attempts that were deleted after their period. They are in no other number."""

    begun = fields.Integer(required=True)
    finished = fields.Integer(required=True)
    mean_score = fields.Float(required=True, allow_none=True)
    mean_milliseconds = fields.Float(required=True, allow_none=True)


class ResultsOut(BaseSchema):
    """The results of a quiz's latest version."""

    quiz = fields.Integer(required=True)
    number = fields.Integer(required=True)
    begun = fields.Integer(required=True)
    finished = fields.Integer(required=True)
    mean_score = fields.Float(required=True, allow_none=True)
    mean_milliseconds = fields.Float(required=True, allow_none=True)
    deleted = fields.Nested(DeletedOut, required=True, allow_none=True)
    questions = fields.List(fields.Nested(QuestionOut), required=True)


class PlayersArguments(BaseSchema):
    """Query of the list of players."""

    cursor = TextField()
    limit = fields.Integer(load_default=50, validate=validate.Range(1, 200))


class PlayerAnswerOut(BaseSchema):
    """How a player answered a question."""

    item = fields.Integer(required=True)
    chosen = fields.List(fields.Integer(), required=True)
    mark = fields.Enum(AnswerMark, by_value=True, required=True)


class PlayerOut(BaseSchema):
    """A player's attempt; without a score it is still played."""

    name = fields.String(required=True)
    started_at = fields.AwareDateTime(required=True)
    finished_at = fields.AwareDateTime(required=True, allow_none=True)
    score = fields.Integer(required=True, allow_none=True)
    milliseconds = fields.Integer(required=True, allow_none=True)
    number = fields.Integer(required=True, metadata={"description": "Which of the player's attempts it is"})
    counts = fields.Boolean(
        required=True,
        metadata={"description": "Whether it is the scored attempt of its player that is in results and leaderboard"},
    )
    answers = fields.List(fields.Nested(PlayerAnswerOut), required=True)


class PlayersOut(BaseSchema):
    """A page of players, the best first."""

    players = fields.List(fields.Nested(PlayerOut), required=True)
    next = fields.String(required=True, allow_none=True, metadata={"description": "Cursor of the next page"})


class ResultsExportArguments(BaseSchema):
    """Query of the file."""

    format = fields.Enum(ExportFormat, by_value=True, load_default=ExportFormat.CSV)
