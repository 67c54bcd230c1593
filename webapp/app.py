"""create_app: the table of contents, and the one place where the parts meet."""

from __future__ import annotations

import socket
from importlib import import_module
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import make_url
from werkzeug.middleware.proxy_fix import ProxyFix

from webapp import cli
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
from webapp.collector.sources.known import Sources
from webapp.collector.sources.open_trivia import OpenTriviaSource
from webapp.console import api as console_api
from webapp.console import pages as console_pages
from webapp.console import reports as kept_reports
from webapp.console.watching import Watching
from webapp.extensions import csrf, db, migrate
from webapp.pooling import extension as pooling
from webapp.pooling.budget import Fleet
from webapp.pooling.engine import engine_options
from webapp.pooling.fleet import Folder
from webapp.quizzes import api as quizzes_api
from webapp.quizzes import pages as quizzes_pages
from webapp.quizzes.shelf import Shelf
from webapp.results import api as results_api
from webapp.results import pages as results_pages
from webapp.settings import (
    HOME,
    OFF,
    ServiceSettings,
    Settings,
    SettingsError,
    environment,
    load_settings,
    secret_key,
)
from webapp.web import context, files, health, logs, openapi, problems, rendering, security, shortcuts, uploads
from webapp.web.context import Application
from webapp.web.shortcuts import Shortcuts

LARGEST_BODY = 1024 * 1024


def create_app(settings: Settings | None = None) -> Flask:
    """Make the app. It opens no connection and starts no thread.

    Raises:
        SettingsError: when the environment is not acceptable.
        PoolConfigurationError: when the pool cannot serve this database.
    """
    settings = settings or load_settings()
    logs.configure_logs(settings.poolproof.log_format)
    app = Application("webapp", instance_path=str(settings.poolproof.instance.resolve()))
    app.config.update(_configuration(settings))
    for part in (context, shortcuts, uploads, problems, security, rendering, files, guard):
        part.register(app)
    _bind_extensions(app, settings)
    _register_features(app)
    requests = app.extensions["pooling"].requests
    app.config["ANSWERED_IN_PASSING"] = IN_PASSING
    app.wsgi_app = Shortcuts(app.wsgi_app, attempt_shortcuts(app), requests)  # type: ignore[method-assign]
    if settings.poolproof.trusted_proxies:
        hops = settings.poolproof.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    return app


def _configuration(settings: Settings) -> dict[str, object]:
    url = make_url(settings.database_url)
    return {
        "SETTINGS": settings,
        "SECRET_KEY": secret_key(settings),
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": engine_options(settings.pool, url, settings.poolproof.threads),
        "MAX_CONTENT_LENGTH": LARGEST_BODY,
        uploads.LARGEST: settings.poolproof.largest_import * 1024 * 1024,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": settings.poolproof.secure_cookies,
        "TOKEN_SECONDS": settings.poolproof.token_hours * 3600,
        "ATTEMPT_SECONDS": settings.poolproof.attempt_hours * 3600,
        "CONSOLE_DOOR": settings.poolproof.console_bind,
        "CONSOLE_PORT": _console_port(settings.poolproof),
    }


def _console_port(service: ServiceSettings) -> str:
    """Return the port on which nobody but operators comes in; "" where there is none."""
    return service.console_bind.rpartition(":")[2] if service.console_bind != OFF else ""


def _bind_extensions(app: Flask, settings: Settings) -> None:
    if settings.database_url.startswith("sqlite"):
        settings.poolproof.instance.mkdir(parents=True, exist_ok=True)
    db.init_app(app)
    migrate.init_app(app, db, directory=str(HOME / "migrations"))
    csrf.init_app(app)
    with app.app_context():
        engine = db.engine
    header = "X-Request-Timeout" if settings.poolproof.trusted_proxies else None
    service = settings.poolproof
    fleet = Fleet(service.workers, service.threads, service.background_processes + service.collectors)
    is_watched = service.console_bind != OFF or service.otlp_endpoint is not None
    meet_in = service.instance / "fleet" / socket.gethostname() if is_watched else None
    layer = pooling.init_app(app, engine, settings.pool, fleet, deadline_header=header, fleet_folder=meet_in)
    playing = Playing(
        Shelf(layer.work.read),
        Boards(layer.work.read),
        Writer(layer.work, settings.pool.timeout, service.grace_seconds),
        Limits(service.writes_per_second / service.workers),
        app.config["SECRET_KEY"],
        app.config["ATTEMPT_SECONDS"],
    )
    machine = socket.gethostname()
    push = _push(service, meet_in, settings.pool.keep, machine)
    read_only, tick = service.console_read_only, push.tick if push is not None else None
    reports = service.instance / kept_reports.FOLDER
    watching = Watching(layer, machine, reports, is_read_only=read_only, tick=tick) if is_watched else None
    app.extensions |= {"shelf": playing.shelf, "playing": playing, "kept_pages": KeptPages()}
    app.extensions |= {"watching": watching, "otlp": push, "sources": _sources(service)}


def _sources(service: ServiceSettings) -> Sources:
    open_trivia = OpenTriviaSource(service.opentdb_address, spacing=service.opentdb_spacing)
    return Sources(service.sources or service.instance / "sources", open_trivia, environment())


def _push(service: ServiceSettings, fleet: Path | None, keep: int, machine: str) -> Any:
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
    return otlp.Push(service.otlp_endpoint, service.otlp_seconds, Folder(fleet), keep, machine)


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


def main() -> None:
    """Run the `poolproof` command."""
    cli.run(create_app)
