"""What the app answers over HTTP: REST, pages and the console. Loaded where requests are answered."""

from __future__ import annotations

import socket
from importlib import import_module
from pathlib import Path
from typing import Any

from flask import Flask

from webapp.accounts import api as accounts_api
from webapp.accounts import guard
from webapp.accounts import pages as accounts_pages
from webapp.attempts import api as attempts_api
from webapp.attempts import pages as attempts_pages
from webapp.attempts.board import Boards
from webapp.attempts.kept_pages import KeptPages
from webapp.attempts.limits import Limits
from webapp.attempts.playing import Playing
from webapp.attempts.shortcuts import IN_PASSING
from webapp.attempts.shortcuts import shortcuts as attempt_shortcuts
from webapp.attempts.writer import Writer
from webapp.bank import api as bank_api
from webapp.bank import pages as bank_pages
from webapp.collector import api as collector_api
from webapp.collector import pages as collector_pages
from webapp.console import api as console_api
from webapp.console import pages as console_pages
from webapp.console import reports as kept_reports
from webapp.console.watching import Watching
from webapp.extensions import csrf
from webapp.pooling.extension import Pooling
from webapp.pooling.fleet import Folder
from webapp.quizzes import api as quizzes_api
from webapp.quizzes import pages as quizzes_pages
from webapp.quizzes.shelf import Shelf
from webapp.results import api as results_api
from webapp.results import pages as results_pages
from webapp.settings import ServiceSettings, Settings, SettingsError
from webapp.web import context, files, health, openapi, problems, rendering, security, shortcuts, uploads
from webapp.web.shortcuts import Shortcuts


def add_routes(app: Flask, settings: Settings) -> None:
    """Have the app answer requests.

    Raises:
        SettingsError: when the settings ask for a library that is not installed.
    """
    for part in (context, shortcuts, uploads, problems, security, rendering, files, guard):
        part.register(app)
    csrf.init_app(app)
    _make_services(app, settings)
    _register_features(app)
    app.config["ANSWERED_IN_PASSING"] = IN_PASSING
    requests = app.extensions["pooling"].requests
    app.wsgi_app = Shortcuts(app.wsgi_app, attempt_shortcuts(app), requests)  # type: ignore[method-assign]


def _make_services(app: Flask, settings: Settings) -> None:
    service, layer = settings.poolproof, app.extensions["pooling"]
    playing = Playing(
        Shelf(layer.work.read),
        Boards(layer.work.read),
        Writer(layer.work, settings.pool.timeout, service.grace_seconds),
        Limits(service.writes_per_second / service.workers),
        app.config["SECRET_KEY"],
        app.config["ATTEMPT_SECONDS"],
    )
    push = _push(service, layer.fleet_folder, settings.pool.keep)
    app.extensions |= {"shelf": playing.shelf, "playing": playing, "kept_pages": KeptPages()}
    app.extensions |= {"watching": _watching(layer, service, push), "otlp": push}


def _watching(layer: Pooling, service: ServiceSettings, push: Any) -> Watching | None:
    if layer.fleet_folder is None:
        return None
    reports, tick = service.instance / kept_reports.FOLDER, push.tick if push is not None else None
    return Watching(layer, socket.gethostname(), reports, is_read_only=service.console_read_only, tick=tick)


def _push(service: ServiceSettings, fleet: Path | None, keep: int) -> Any:
    """Return what sends the fleet's metrics to a collector; None where none is set, and then nothing is imported."""
    if service.otlp_endpoint is None or fleet is None:
        return None
    try:
        otlp = import_module("webapp.console.otlp")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise SettingsError(
            "POOLPROOF_OTLP_ENDPOINT needs OpenTelemetry's SDK and its exporter: "
            "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http (the extra `otlp`), or unset it."
        ) from error
    return otlp.Push(service.otlp_endpoint, service.otlp_seconds, Folder(fleet), keep, socket.gethostname())


def _register_features(app: Flask) -> None:
    api = openapi.create_api(app)
    parts = (accounts_api, bank_api, quizzes_api, attempts_api, results_api, collector_api, console_api)
    for blueprint in (*(part.blueprint for part in parts), bank_api.imports):
        api.register_blueprint(blueprint)
        # REST knows no cookies, so no other site can act in somebody's name.
        csrf.exempt(blueprint)
    pages = (
        health,
        problems,
        files,
        accounts_pages,
        bank_pages,
        quizzes_pages,
        attempts_pages,
        results_pages,
        console_pages,
    )
    for page in pages:
        app.register_blueprint(page.blueprint)
    app.register_blueprint(collector_pages.blueprint)
    app.register_blueprint(quizzes_pages.studio)
    app.register_blueprint(console_pages.metrics)
    # A player has nothing to sign in to, and an attempt's address is its key.
    csrf.exempt(attempts_pages.blueprint)
