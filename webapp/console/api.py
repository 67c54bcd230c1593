"""REST: the pools of the fleet. On the console's address only."""

from __future__ import annotations

from typing import Any

from flask import current_app

from webapp.accounts.auth import require_api
from webapp.accounts.roles import Permission
from webapp.console.console_service import get_console_service
from webapp.console.schemas import PoolsSchema
from webapp.web.rest.openapi import api_blueprint, problem_responses
from webapp.web.security.console_listener import restrict_to_console

blueprint = api_blueprint("pools", __name__, "/pools", "Every worker's pools, on the console's address only.")
restrict_to_console(blueprint)


@blueprint.route("", methods=["GET"])
@require_api(Permission.OPERATE)
@blueprint.response(200, PoolsSchema)
@blueprint.doc(operationId="readPools")
@problem_responses(blueprint, 401, 403, 404)
def read_pools() -> dict[str, Any]:
    """Read the pools of every process of this machine."""
    view = get_console_service(current_app).fleet_view()
    return {
        "machine": view.machine,
        "used": view.used,
        "open": view.open,
        "at_most": view.need.total,
        "processes": view.processes,
    }
