"""REST: the pools of the fleet. On the console's address only."""

from __future__ import annotations

from typing import Any

from flask import current_app

from webapp.accounts.guard import api_for
from webapp.accounts.roles import Permission
from webapp.console.schemas import PoolsSchema
from webapp.console.watching import watching_of
from webapp.web.doors import require_console_door
from webapp.web.openapi import api_blueprint, problems

blueprint = api_blueprint("pools", __name__, "/pools", "Every worker's pools, on the console's address only.")
blueprint.before_request(require_console_door)


@blueprint.route("", methods=["GET"])
@api_for(Permission.OPERATE)
@blueprint.response(200, PoolsSchema)
@blueprint.doc(operationId="readPools")
@problems(blueprint, 401, 403, 404)
def read_pools() -> dict[str, Any]:
    """Read the pools of every process of this machine."""
    view = watching_of(current_app).view()
    return {
        "machine": view.machine,
        "used": view.used,
        "open": view.open,
        "at_most": view.need.at_most,
        "processes": view.processes,
    }
