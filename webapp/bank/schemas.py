"""What items look like over REST."""

from __future__ import annotations

from marshmallow import fields, validate

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
from webapp.bank.exports import ExportFormat
from webapp.bank.imports import Format
from webapp.bank.kinds import Difficulty, Kind
from webapp.bank.register import State
from webapp.web.openapi import Schema, Text

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


class _Content(Schema):
    """What is asked, and where it comes from; now or once."""

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


class ItemOut(_Content):
    """An item of the bank."""

    id = fields.Integer(required=True)
    collected_at = fields.AwareDateTime(required=True, allow_none=True)
    version = fields.Integer(required=True)
    created_at = fields.AwareDateTime(required=True)
    changed_at = fields.AwareDateTime(required=True)


class ItemPage(Schema):
    """A page of items."""

    items = fields.List(fields.Nested(ItemOut), required=True)
    next = fields.String(required=True, allow_none=True, metadata={"description": "Cursor of the next page"})


class VersionOut(_Content):
    """What an item was, from `changed_at` until the next version."""

    version = fields.Integer(required=True)
    changed_at = fields.AwareDateTime(required=True)
    import_id = fields.Integer(required=True, allow_none=True, metadata={"description": "Which import made it this"})


class Versions(Schema):
    """What an item was, the latest version first, a hundred at most."""

    versions = fields.List(fields.Nested(VersionOut), required=True)


class ImportArguments(Schema):
    """Query of an import; the body is the file."""

    format = fields.Enum(Format, by_value=True, required=True)
    category = Text(
        validate=validate.Length(1, LONGEST_CATEGORY), metadata={"description": "Of the items that name none"}
    )
    name = Text(load_default="upload", validate=validate.Length(1, 200), metadata={"description": "The file's name"})
    dry_run = fields.Boolean(load_default=False, metadata={"description": "Say what would happen and store nothing"})


class ExportArguments(Schema):
    """Query of an export."""

    format = fields.Enum(ExportFormat, by_value=True, load_default=ExportFormat.JSON)
    category = Text(validate=validate.Length(1, LONGEST_CATEGORY))


class RejectedOut(Schema):
    """A record that cannot be an item."""

    line = fields.Integer(required=True)
    reason = fields.String(required=True)


class ResemblingOut(Schema):
    """A new item whose stem another one has with other choices; `item` is null when that stands in the same file."""

    line = fields.Integer(required=True)
    stem = fields.String(required=True)
    item = fields.Integer(required=True, allow_none=True)


class StayedOut(Schema):
    """An item that undoing has left as it is."""

    item = fields.Integer(required=True)
    reason = fields.String(required=True)


class ImportLine(Schema):
    """An import and what became of the file's records; of a checked one, what would become of them."""

    id = fields.Integer(required=True)
    at = fields.AwareDateTime(required=True)
    account = fields.String(required=True, allow_none=True, metadata={"description": "Null: a command"})
    file_name = fields.String(required=True)
    file_format = fields.String(required=True)
    category = fields.String(required=True, allow_none=True)
    state = fields.String(required=True, validate=validate.OneOf([*State]))
    records = fields.Integer(required=True)
    new = fields.Integer(required=True)
    changed = fields.Integer(required=True)
    duplicate = fields.Integer(required=True)
    possible = fields.Integer(required=True, metadata={"description": "New ones whose stem another item has"})
    repaired = fields.Integer(required=True)
    rejected = fields.Integer(required=True)
    removed = fields.Integer(required=True, metadata={"description": "Taken out of the bank by undoing"})
    restored = fields.Integer(required=True, metadata={"description": "Brought back to what it was by undoing"})


class ImportOut(ImportLine):
    """An import with the first thousand of what is worth telling."""

    reasons = fields.List(fields.Nested(RejectedOut), required=True)
    resembling = fields.List(fields.Nested(ResemblingOut), required=True)
    stayed = fields.List(fields.Nested(StayedOut), required=True)


class ImportLines(Schema):
    """A page of imports, the latest first."""

    imports = fields.List(fields.Nested(ImportLine), required=True)
    next = fields.String(required=True, allow_none=True, metadata={"description": "Cursor of the next page"})


class ImportListArguments(Schema):
    """Query of the list of imports."""

    cursor = Text()
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))
