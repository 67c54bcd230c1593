"""Schemas of attempts and leaderboards."""

from __future__ import annotations

from marshmallow import fields, validate

from webapp.attempts.models import MAX_NAME_LENGTH
from webapp.quizzes.rules import AnswersShown
from webapp.web.rest.fields import TextField, visible
from webapp.web.rest.openapi import BaseSchema
from webapp.web.rest.strict_schema import StrictSchema

MAX_CHOICES = 63
"""Choices of a question; each is a bit of a signed 64-bit number."""
MAX_SEQUENCE = 2**63 - 1
"""Of a signed 64-bit number."""
MAX_PLAYER_TOKEN_LENGTH = 500
DEFAULT_PLACES = 20
ANONYMOUS = "Anonymous"
SECONDS_LEFT_DESCRIPTION = (
    "Seconds until its end, by the database's clock. Count from here: a client's own clock may be wrong. "
    "null: it has no end"
)


class StartIn(StrictSchema):
    """The player who starts."""

    name = TextField(
        load_default=ANONYMOUS,
        validate=[validate.Length(1, MAX_NAME_LENGTH), visible],
        metadata={"description": "The name on the leaderboard"},
    )
    player = TextField(
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=MAX_PLAYER_TOKEN_LENGTH),
        metadata={"description": "The player token of an earlier start, to be the same player again"},
    )


class StartOut(BaseSchema):
    """An attempt. The token is its address and its key: anyone who has the token can play the attempt."""

    token = fields.String(required=True)
    player = fields.String(required=True)
    started_at = fields.AwareDateTime(required=True)
    expires_in = fields.Integer(
        required=True,
        metadata={
            "description": "Seconds for which it takes answers as the rules are now; its result can be read afterwards"
        },
    )
    seconds_left = fields.Integer(required=True, allow_none=True, metadata={"description": SECONDS_LEFT_DESCRIPTION})
    number = fields.Integer(required=True, metadata={"description": "Which of the player's attempts it is"})
    items = fields.List(
        fields.Integer(),
        required=True,
        metadata={"description": "The items of its questions, in the order to show them; those that were drawn, too"},
    )


class AnswerIn(StrictSchema):
    """The positions chosen, counted from 0 in the published quiz's own order."""

    choices = fields.List(
        fields.Integer(strict=True, validate=validate.Range(0, MAX_CHOICES - 1)),
        required=True,
        validate=validate.Length(1, MAX_CHOICES),
    )
    sequence = fields.Integer(
        strict=True,
        load_default=None,
        allow_none=True,
        validate=validate.Range(0, MAX_SEQUENCE),
        metadata={
            "description": "The client's own number of this choice. Of two choices that have one, the greater number "
            "is the newer choice, whichever arrives first; otherwise the choice that arrives later."
        },
    )


class AnswerOut(BaseSchema):
    """An answer that is stored, or was replaced by a newer one of the same player."""

    item = fields.Integer(required=True)
    choices = fields.List(fields.Integer(), required=True)
    saved = fields.Boolean(required=True)


class AttemptQuestionOut(BaseSchema):
    """A question in an attempt. `right`, `is_right` and `explanation` are present once right answers are shown."""

    item = fields.Integer(required=True)
    kind = fields.String(required=True)
    stem = fields.String(required=True)
    points = fields.Integer(required=True)
    section = fields.String(required=True, allow_none=True)
    choices = fields.List(fields.String(), required=True)
    order = fields.List(
        fields.Integer(), required=True, metadata={"description": "Positions of the choices in the order to show them"}
    )
    chosen = fields.List(fields.Integer(), required=True)
    right = fields.List(fields.Integer())
    is_right = fields.Boolean()
    explanation = fields.String()


class AttemptOut(BaseSchema):
    """An attempt in its present state."""

    quiz = fields.Integer(required=True)
    slug = fields.String(required=True)
    title = fields.String(required=True)
    player_name = fields.String(required=True)
    state = fields.String(required=True, metadata={"description": "State of the quiz's window"})
    closes_at = fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": "null: the quiz has no end"}
    )
    answers_shown = fields.Enum(AnswersShown, by_value=True, required=True)
    started_at = fields.AwareDateTime(required=True)
    finished_at = fields.AwareDateTime(
        required=True,
        allow_none=True,
        metadata={"description": "Of an attempt that was over before anyone finished it: its last stored answer"},
    )
    score = fields.Integer(required=True, allow_none=True)
    out_of = fields.Integer(required=True, metadata={"description": "The highest possible score"})
    milliseconds = fields.Integer(
        required=True, allow_none=True, metadata={"description": "From the start to the last stored answer"}
    )
    rank = fields.Integer(required=True, allow_none=True)
    number = fields.Integer(required=True, metadata={"description": "Which of the player's attempts it is"})
    ends_at = fields.AwareDateTime(
        required=True,
        allow_none=True,
        metadata={"description": "When its own time is over, or the quiz closes; null: nothing ends it"},
    )
    seconds_left = fields.Integer(required=True, allow_none=True, metadata={"description": SECONDS_LEFT_DESCRIPTION})
    questions = fields.List(fields.Nested(AttemptQuestionOut), required=True)


class StoredAnswerOut(BaseSchema):
    """An answer as it is stored."""

    item = fields.Integer(required=True)
    stem = fields.String(required=True, allow_none=True)
    choices = fields.List(fields.Integer(), required=True, metadata={"description": "The positions chosen"})
    texts = fields.List(fields.String(), required=True, metadata={"description": "The choices as texts"})
    sequence = fields.Integer(required=True, allow_none=True)
    answered_at = fields.AwareDateTime(required=True)


class StoredDataOut(BaseSchema):
    """All that is stored of an attempt, and what its token says."""

    quiz = fields.Integer(required=True)
    title = fields.String(required=True)
    attempt = fields.UUID(required=True)
    player = fields.UUID(
        required=True, metadata={"description": "A random number that a browser keeps; the same in its other attempts"}
    )
    player_name = fields.String(required=True)
    started_at = fields.AwareDateTime(required=True)
    finished_at = fields.AwareDateTime(required=True, allow_none=True)
    score = fields.Integer(required=True, allow_none=True)
    milliseconds = fields.Integer(required=True, allow_none=True)
    kept_days = fields.Integer(
        required=True,
        allow_none=True,
        metadata={
            "description": "Days for which it is kept: after the quiz has closed, or where it has no end, after the "
            "attempt was finished. null: without a limit"
        },
    )
    answers = fields.List(fields.Nested(StoredAnswerOut), required=True)


class LeaderboardArguments(BaseSchema):
    """Query of the leaderboard."""

    limit = fields.Integer(load_default=DEFAULT_PLACES, validate=validate.Range(1, 100))


class LeaderboardPlaceOut(BaseSchema):
    """A line of the leaderboard."""

    rank = fields.Integer(required=True)
    player_name = fields.String(required=True)
    score = fields.Integer(required=True)
    milliseconds = fields.Integer(required=True)


class LeaderboardOut(BaseSchema):
    """The leaderboard of a quiz's latest version."""

    quiz = fields.Integer(required=True)
    out_of = fields.Integer(required=True, metadata={"description": "The highest possible score"})
    finished = fields.Integer(required=True, metadata={"description": "How many have finished"})
    places = fields.List(fields.Nested(LeaderboardPlaceOut), required=True)
