"""The schemas of the pools over REST."""

from __future__ import annotations

from marshmallow import fields

from webapp.web.rest.openapi import BaseSchema


class LaneSchema(BaseSchema):
    """One lane of one process."""

    name = fields.String(required=True)
    used = fields.Integer(required=True)
    idle = fields.Integer(required=True)
    size = fields.Integer(required=True)
    most = fields.Integer(required=True, allow_none=True)
    waiting = fields.Integer(required=True)
    oldest = fields.Float(required=True, metadata={"description": "Seconds that the first in the queue has waited."})
    is_slow = fields.Boolean(required=True, metadata={"description": "Whether it sheds load."})
    is_paused = fields.Boolean(required=True)


class ProcessSchema(BaseSchema):
    """One process and its lanes."""

    key = fields.String(required=True)
    label = fields.String(required=True)
    pid = fields.Integer(required=True)
    silent_for = fields.Float(required=True, metadata={"description": "Seconds since its last heartbeat."})
    lanes = fields.List(fields.Nested(LaneSchema), required=True)


class PoolsSchema(BaseSchema):
    """Every pool of this machine's fleet."""

    machine = fields.String(required=True)
    used = fields.Integer(required=True)
    open = fields.Integer(required=True)
    at_most = fields.Integer(required=True, metadata={"description": "The budget, with a reload and the reserve."})
    processes = fields.List(fields.Nested(ProcessSchema), required=True)
