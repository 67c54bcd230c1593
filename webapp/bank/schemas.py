"""The REST schemas of items, imports and exports."""

from __future__ import annotations

from marshmallow import fields, validate

from webapp.bank.exports import ExportFormat
from webapp.bank.import_jobs import ImportState
from webapp.bank.imports import Format
from webapp.bank.item_draft import (
    MAX_ADDRESS_LENGTH,
    MAX_CATEGORY_LENGTH,
    MAX_CHOICE_LENGTH,
    MAX_CHOICES,
    MAX_EXPLANATION_LENGTH,
    MAX_LICENCE_LENGTH,
    MAX_SOURCE_LENGTH,
    MAX_STEM_LENGTH,
    MAX_TAG_LENGTH,
    MAX_TAGS,
)
from webapp.bank.item_kinds import Difficulty, Kind
from webapp.web.rest.fields import TextField
from webapp.web.rest.openapi import BaseSchema

MAX_SEARCH_LENGTH = 200


class ItemArguments(BaseSchema):
    """Query of the list of items."""

    category = TextField(validate=validate.Length(1, MAX_CATEGORY_LENGTH))
    difficulty = fields.Enum(Difficulty, by_value=True)
    kind = fields.Enum(Kind, by_value=True)
    search = TextField(
        validate=validate.Length(1, MAX_SEARCH_LENGTH),
        metadata={"description": "Words; for each of them the stem must have a word that begins with it"},
    )
    tag = TextField(validate=validate.Length(1, MAX_TAG_LENGTH))
    cursor = TextField()
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))


class ItemIn(BaseSchema):
    """The content of an item. `right` are positions in `choices`, counted from 0."""

    kind = fields.Enum(Kind, by_value=True, required=True)
    stem = TextField(required=True, validate=validate.Length(1, MAX_STEM_LENGTH))
    choices = fields.List(
        TextField(validate=validate.Length(1, MAX_CHOICE_LENGTH)),
        required=True,
        validate=validate.Length(2, MAX_CHOICES),
    )
    right = fields.List(
        fields.Integer(strict=True, validate=validate.Range(0, MAX_CHOICES - 1)),
        required=True,
        validate=validate.Length(1, MAX_CHOICES),
    )
    pinned = fields.List(
        fields.Integer(strict=True, validate=validate.Range(0, MAX_CHOICES - 1)),
        load_default=list,
        validate=validate.Length(max=MAX_CHOICES),
        metadata={"description": "Positions of the choices that keep their places when the choices are shuffled"},
    )
    tags = fields.List(
        TextField(validate=validate.Length(1, MAX_TAG_LENGTH)),
        load_default=list,
        validate=validate.Length(max=MAX_TAGS),
        metadata={"description": "Labels by which the item is found; they have no versions"},
    )
    explanation = TextField(load_default="", validate=validate.Length(max=MAX_EXPLANATION_LENGTH))
    category = TextField(load_default=None, allow_none=True, validate=validate.Length(max=MAX_CATEGORY_LENGTH))
    difficulty = fields.Enum(Difficulty, by_value=True, load_default=None, allow_none=True)
    source = TextField(load_default=None, allow_none=True, validate=validate.Length(max=MAX_SOURCE_LENGTH))
    licence = TextField(load_default=None, allow_none=True, validate=validate.Length(max=MAX_LICENCE_LENGTH))
    address = TextField(
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=MAX_ADDRESS_LENGTH),
        metadata={"description": "The address of the item at its source"},
    )


class _ItemContent(BaseSchema):
    """The content and origin of an item or of a past version."""

    kind = fields.String(required=True)
    stem = fields.String(required=True)
    choices = fields.List(fields.String(), required=True)
    right = fields.List(fields.Integer(), required=True)
    pinned = fields.List(fields.Integer(), required=True)
    explanation = fields.String(required=True)
    category = fields.String(required=True, allow_none=True)
    difficulty = fields.String(required=True, allow_none=True)
    source = fields.String(required=True, allow_none=True)
    licence = fields.String(required=True, allow_none=True)
    address = fields.String(required=True, allow_none=True)


class ItemOut(_ItemContent):
    """An item of the bank."""

    id = fields.Integer(required=True)
    tags = fields.List(fields.String(), required=True)
    collected_at = fields.AwareDateTime(required=True, allow_none=True)
    version = fields.Integer(required=True)
    created_at = fields.AwareDateTime(required=True)
    changed_at = fields.AwareDateTime(required=True)


class ItemPage(BaseSchema):
    """A page of items."""

    items = fields.List(fields.Nested(ItemOut), required=True)
    next = fields.String(required=True, allow_none=True, metadata={"description": "Cursor of the next page"})


class ItemVersionOut(_ItemContent):
    """A past version of an item, from `changed_at` until the next version."""

    version = fields.Integer(required=True)
    changed_at = fields.AwareDateTime(required=True)
    import_id = fields.Integer(
        required=True, allow_none=True, metadata={"description": "The import that made this version"}
    )


class ItemVersionsOut(BaseSchema):
    """The past versions of an item, the latest first, a hundred at most."""

    versions = fields.List(fields.Nested(ItemVersionOut), required=True)


class ImportArguments(BaseSchema):
    """Query of an import; the body is the file."""

    format = fields.Enum(Format, by_value=True, required=True)
    category = TextField(
        validate=validate.Length(1, MAX_CATEGORY_LENGTH),
        metadata={"description": "The category of items that name none"},
    )
    name = TextField(
        load_default="upload", validate=validate.Length(1, 200), metadata={"description": "The file's name"}
    )
    dry_run = fields.Boolean(
        load_default=False, metadata={"description": "Report what an import would do, and import nothing"}
    )


class ExportArguments(BaseSchema):
    """Query of an export."""

    format = fields.Enum(ExportFormat, by_value=True, load_default=ExportFormat.JSON)
    category = TextField(validate=validate.Length(1, MAX_CATEGORY_LENGTH))


class RejectedRecordOut(BaseSchema):
    """A record that cannot be an item."""

    line = fields.Integer(required=True)
    reason = fields.String(required=True)


class PossibleDuplicateOut(BaseSchema):
    """A new item with the stem of another item but other choices; `item` is null when that is in the same file."""

    line = fields.Integer(required=True)
    stem = fields.String(required=True)
    item = fields.Integer(required=True, allow_none=True)


class SkippedItemOut(BaseSchema):
    """An item that undoing has not changed."""

    item = fields.Integer(required=True)
    reason = fields.String(required=True)


class ImportSummaryOut(BaseSchema):
    """An import and the outcomes of the file's records; of a checked one, what importing it would do."""

    id = fields.Integer(required=True)
    at = fields.AwareDateTime(required=True)
    account = fields.String(required=True, allow_none=True, metadata={"description": "Null when a command imports"})
    file_name = fields.String(required=True)
    file_format = fields.String(required=True)
    category = fields.String(required=True, allow_none=True)
    state = fields.String(required=True, validate=validate.OneOf([*ImportState]))
    records = fields.Integer(required=True)
    new = fields.Integer(required=True)
    changed = fields.Integer(required=True)
    duplicate = fields.Integer(required=True)
    possible = fields.Integer(required=True, metadata={"description": "New items with the stem of another item"})
    repaired = fields.Integer(required=True)
    rejected = fields.Integer(required=True)
    removed = fields.Integer(required=True, metadata={"description": "Items that undoing has removed"})
    restored = fields.Integer(required=True, metadata={"description": "Items that undoing has restored"})


class ImportOut(ImportSummaryOut):
    """An import with its first thousand rejected records, possible duplicates and skipped items."""

    reasons = fields.List(fields.Nested(RejectedRecordOut), required=True)
    resembling = fields.List(fields.Nested(PossibleDuplicateOut), required=True)
    stayed = fields.List(fields.Nested(SkippedItemOut), required=True)


class ImportPage(BaseSchema):
    """A page of imports, the latest first."""

    imports = fields.List(fields.Nested(ImportSummaryOut), required=True)
    next = fields.String(required=True, allow_none=True, metadata={"description": "Cursor of the next page"})


class ImportListArguments(BaseSchema):
    """Query of the list of imports."""

    cursor = TextField()
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))
