"""Is the process alive, and may it take traffic?"""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from poolproof.integrations.flask_ext import get_pooling

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> dict[str, Any]:
    """Say that the process answers; the database is not asked."""
    return {"status": "alive"}


@blueprint.get("/readyz")
def readyz() -> tuple[dict[str, Any], int]:
    """Say whether the database answers within a second, on a connection of its own."""
    if trouble := get_pooling().probe.check():
        return {"status": "not ready", "reason": trouble}, 503
    return {"status": "ready"}, 200
