"""Schemas of drafts."""

from __future__ import annotations

from marshmallow import fields, validate

from webapp.bank.item_draft import MAX_CATEGORY_LENGTH, MAX_TAG_LENGTH
from webapp.bank.item_kinds import Difficulty
from webapp.quizzes.drafts import MAX_DESCRIPTION_LENGTH, MAX_QUIZ_ITEMS, MAX_SLUG_LENGTH, MAX_TITLE_LENGTH
from webapp.quizzes.draws import MAX_DRAWS, MAX_POINTS
from webapp.web.rest.fields import TextField, TimeField
from webapp.web.rest.openapi import BaseSchema
from webapp.web.rest.pagination import MAX_ID


class DraftListArguments(BaseSchema):
    """Query of the list of drafts."""

    cursor = TextField()
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))


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
    difficulty = fields.String(load_default=None, allow_none=True, validate=validate.OneOf(list(Difficulty)))
    tag = TextField(load_default=None, allow_none=True, validate=validate.Length(1, MAX_TAG_LENGTH))
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
    sections = fields.List(fields.Nested(SectionSchema), required=True)
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
