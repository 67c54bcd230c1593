"""Liveness and readiness of the process."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app

from poolproof.integrations.flask_ext import get_pooling
from webapp.web.write_probe import WriteProbe

blueprint = Blueprint("health", __name__)


def get_write_probe() -> WriteProbe:
    """Return the write probe of the current app."""
    probe: WriteProbe = current_app.extensions["write_probe"]
    return probe


@blueprint.get("/healthz")
def healthz() -> dict[str, Any]:
    """Answer without a look at the database: the process is alive."""
    return {"status": "alive"}


@blueprint.get("/readyz")
def readyz() -> tuple[dict[str, Any], int]:
    """Check whether the database answers within a second, on a connection of its own, and can store anything."""
    if reason := get_pooling().probe.check() or get_write_probe().check():
        return {"status": "not ready", "reason": reason}, 503
    return {"status": "ready"}, 200
