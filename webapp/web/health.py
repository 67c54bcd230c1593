"""Liveness and readiness of the process."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from poolproof.integrations.flask_ext import get_pooling

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> dict[str, Any]:
    """Answer without a look at the database: the process is alive."""
    return {"status": "alive"}


@blueprint.get("/readyz")
def readyz() -> tuple[dict[str, Any], int]:
    """Check whether the database answers within a second, on a connection of its own."""
    if reason := get_pooling().probe.check():
        return {"status": "not ready", "reason": reason}, 503
    return {"status": "ready"}, 200
