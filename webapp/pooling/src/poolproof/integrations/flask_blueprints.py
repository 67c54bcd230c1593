"""Blueprints for an application with `Poolproof`: metrics for Prometheus, and a page that shows the pools."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, abort, request

from poolproof.integrations.console_page import render_page
from poolproof.integrations.flask_adopt import get_process

MAX_EVENTS = 20
OPENMETRICS = "application/openmetrics-text"
_PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def metrics_blueprint(name: str = "poolproof_metrics") -> Blueprint:
    """Return a blueprint whose root has the metrics of all processes, at `/metrics` unless `url_prefix` says otherwise.

    It uses no connection. Everybody who reaches its address can read it: register it where only Prometheus does.
    """
    blueprint = Blueprint(name, __name__, url_prefix="/metrics")

    @blueprint.get("/")
    @blueprint.get("", endpoint="without_slash")
    def metrics() -> Response:
        is_open = OPENMETRICS in request.headers.get("Accept", "")
        text = get_process().metrics_text(openmetrics=is_open)
        kind = f"{OPENMETRICS}; version=1.0.0; charset=utf-8" if is_open else "text/plain; version=0.0.4; charset=utf-8"
        return Response(text, content_type=kind)

    return blueprint


def console_blueprint(guard: Callable[[], bool] | None = None, name: str = "poolproof_console") -> Blueprint:
    """Return a blueprint at `/pools` that shows the pools of all processes, who holds connections, and what to do.

    It only reads, and uses no connection of its own. `guard` is called for each request, in its context, and says
    whether this visitor may see the page; all others get 404. Without a guard everybody does.
    """
    blueprint = Blueprint(name, __name__, url_prefix="/pools")

    @blueprint.before_request
    def check() -> None:
        if guard is None or not guard():
            abort(404)

    @blueprint.get("/")
    @blueprint.get("", endpoint="without_slash")
    def console() -> Response:
        process = get_process()
        return Response(render_page(process.snapshot(), process.events(MAX_EVENTS)), headers=_PAGE_HEADERS)

    return blueprint
