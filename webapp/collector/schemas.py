"""The REST schemas of sources and collection runs."""

from __future__ import annotations

from marshmallow import fields, validate

from webapp.web.rest.fields import TextField
from webapp.web.rest.openapi import BaseSchema


class RunArguments(BaseSchema):
    """Query of the list of runs."""

    cursor = TextField()
    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))


class RunIn(BaseSchema):
    """The source to collect from."""

    source = TextField(required=True, validate=validate.Length(1, 64))


class RunOut(BaseSchema):
    """A collection run; counts are of records."""

    id = fields.Integer(required=True)
    source = fields.String(required=True)
    status = fields.String(required=True)
    ordered_by = fields.String(required=True, allow_none=True)
    ordered_at = fields.AwareDateTime(required=True)
    began_at = fields.AwareDateTime(required=True, allow_none=True)
    ended_at = fields.AwareDateTime(required=True, allow_none=True)
    resumes_at = fields.AwareDateTime(required=True, allow_none=True)
    expected = fields.Integer(required=True, allow_none=True)
    returned = fields.Integer(required=True)
    new = fields.Integer(required=True)
    changed = fields.Integer(required=True)
    duplicate = fields.Integer(required=True)
    rejected = fields.Integer(required=True)
    calls = fields.Integer(required=True)
    error = fields.String(required=True, allow_none=True)


class EventOut(BaseSchema):
    """An event of a run."""

    at = fields.AwareDateTime(required=True)
    kind = fields.String(required=True)
    text = fields.String(required=True)


class PartOut(BaseSchema):
    """The progress of a part of a run."""

    title = fields.String(required=True)
    expected = fields.Integer(required=True, allow_none=True)
    returned = fields.Integer(required=True)
    is_done = fields.Boolean(required=True)


class RunDetails(RunOut):
    """A run with its parts and its latest events."""

    parts = fields.List(fields.Nested(PartOut), required=True)
    events = fields.List(fields.Nested(EventOut), required=True)


class RunPage(BaseSchema):
    """A page of runs, the newest first."""

    runs = fields.List(fields.Nested(RunOut), required=True)
    next = fields.String(required=True, allow_none=True, metadata={"description": "Cursor of the next page"})


class LimitsOut(BaseSchema):
    """The limits of a source, for all processes together."""

    concurrency = fields.Integer(required=True, metadata={"description": "Concurrent calls"})
    spacing = fields.Float(required=True, metadata={"description": "Seconds between two calls"})
    daily = fields.Integer(required=True, allow_none=True, metadata={"description": "Calls in a day"})


class SourceOut(BaseSchema):
    """A source of questions."""

    name = fields.String(required=True)
    title = fields.String(required=True)
    address = fields.String(required=True)
    licence = fields.String(required=True)
    limits = fields.Nested(LimitsOut, required=True)


class SourceList(BaseSchema):
    """All sources of this installation."""

    sources = fields.List(fields.Nested(SourceOut), required=True)
