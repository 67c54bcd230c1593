"""What items look like over REST."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from webapp.bank.drafts import (
    LONGEST_ADDRESS,
    LONGEST_CATEGORY,
    LONGEST_CHOICE,
    LONGEST_EXPLANATION,
    LONGEST_LICENCE,
    LONGEST_SOURCE,
    LONGEST_STEM,
    MOST_CHOICES,
)
from webapp.bank.kinds import Difficulty, Kind
from webapp.web.openapi import Text

LONGEST_SEARCH = 200


class ItemArguments(Schema):
    """Query of the list of items."""

    category = Text(validate=validate.Length(1, LONGEST_CATEGORY))
    difficulty = fields.Enum(Difficulty, by_value=True)
    kind = fields.Enum(Kind, by_value=True)
    search = Text(
        validate=validate.Length(1, LONGEST_SEARCH),
        metadata={"description": "Words; the stem must have one beginning with each"},
    )
    cursor = Text()
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))


class ItemIn(Schema):
    """What an author writes. `right` are positions in `choices`, counted from 0."""

    kind = fields.Enum(Kind, by_value=True, required=True)
    stem = Text(required=True, validate=validate.Length(1, LONGEST_STEM))
    choices = fields.List(
        Text(validate=validate.Length(1, LONGEST_CHOICE)), required=True, validate=validate.Length(2, MOST_CHOICES)
    )
    right = fields.List(
        fields.Integer(strict=True, validate=validate.Range(0, MOST_CHOICES - 1)),
        required=True,
        validate=validate.Length(1, MOST_CHOICES),
    )
    explanation = Text(load_default="", validate=validate.Length(max=LONGEST_EXPLANATION))
    category = Text(load_default=None, allow_none=True, validate=validate.Length(max=LONGEST_CATEGORY))
    difficulty = fields.Enum(Difficulty, by_value=True, load_default=None, allow_none=True)
    source = Text(load_default=None, allow_none=True, validate=validate.Length(max=LONGEST_SOURCE))
    licence = Text(load_default=None, allow_none=True, validate=validate.Length(max=LONGEST_LICENCE))
    address = Text(
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=LONGEST_ADDRESS),
        metadata={"description": "Where the source has it"},
    )


class ItemOut(Schema):
    """An item of the bank."""

    id = fields.Integer(required=True)
    kind = fields.String(required=True)
    stem = fields.String(required=True)
    choices = fields.List(fields.String(), required=True)
    right = fields.List(fields.Integer(), required=True)
    explanation = fields.String(required=True)
    category = fields.String(required=True, allow_none=True)
    difficulty = fields.String(required=True, allow_none=True)
    source = fields.String(required=True, allow_none=True)
    licence = fields.String(required=True, allow_none=True)
    address = fields.String(required=True, allow_none=True)
    collected_at = fields.AwareDateTime(required=True, allow_none=True)
    version = fields.Integer(required=True)
    created_at = fields.AwareDateTime(required=True)
    changed_at = fields.AwareDateTime(required=True)


class ItemPage(Schema):
    """A page of items."""

    items = fields.List(fields.Nested(ItemOut), required=True)
    next = fields.String(required=True, allow_none=True, metadata={"description": "Cursor of the next page"})
