"""Everything that the app serves over HTTP: REST, pages and the console. Imported only where requests are answered."""

from __future__ import annotations

import socket
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from flask import Flask

from poolproof.fleet.registry import FleetDirectory
from poolproof.integrations.flask_ext import PoolingState
from webapp.accounts import api as accounts_api
from webapp.accounts import auth
from webapp.accounts import pages as accounts_pages
from webapp.attempts import api as attempts_api
from webapp.attempts import pages as attempts_pages
from webapp.attempts.answer_writer import AnswerWriter
from webapp.attempts.fast_routes import build_fast_routes
from webapp.attempts.joining import pages as join_pages
from webapp.attempts.leaderboard_cache import LeaderboardCache
from webapp.attempts.operations import EncodedLeaderboards
from webapp.attempts.overdue_scorer import OverdueScorer
from webapp.attempts.page_cache import PageCache
from webapp.attempts.rate_limit import JOIN_BURST, JOIN_RATE, PlayerRateLimiter
from webapp.attempts.retention_task import RetentionTask, WaitWhileBusy
from webapp.attempts.service import AttemptService
from webapp.attempts.time_limits import TimeLimits
from webapp.attempts.trial import pages as trial_pages
from webapp.bank import api as bank_api
from webapp.bank import pages as bank_pages
from webapp.bank.bulk import pages as bulk_pages
from webapp.bank.editor import pages as editor_pages
from webapp.collector import api as collector_api
from webapp.collector import pages as collector_pages
from webapp.collector.load_throttle import LoadThrottle
from webapp.console import api as console_api
from webapp.console import lab_reports
from webapp.console import pages as console_pages
from webapp.console.console_service import ConsoleService
from webapp.extensions import csrf
from webapp.quizzes import api as quizzes_api
from webapp.quizzes import pages as quizzes_pages
from webapp.quizzes.builder import pages as builder_pages
from webapp.quizzes.drawing import pages as draw_pages
from webapp.quizzes.join_code_cache import JoinCodeCache
from webapp.quizzes.published_cache import PublishedQuizCache
from webapp.quizzes.sharing import api as sharing_api
from webapp.quizzes.sharing import pages as sharing_pages
from webapp.quizzes.writing import pages as writing_pages
from webapp.results import api as results_api
from webapp.results import pages as results_pages
from webapp.results.report_cache import ReportCache
from webapp.settings import ServiceSettings, Settings, SettingsError, environment
from webapp.web import (
    assets,
    body_limits,
    health,
    language_switch,
    languages,
    long_work,
    request_context,
    template_filters,
)
from webapp.web.delayed_refusals import DelayedRefusals
from webapp.web.fast_path import middleware
from webapp.web.fast_path.middleware import FastPath
from webapp.web.rest import discovery, openapi, problems
from webapp.web.security import console_listener, security_headers
from webapp.web.write_probe import WriteProbe

SIGN_IN_PATHS = ("/sign-in", "/api/v1/tokens")
"""Their refusals are sent late: they are what a client that guesses passwords gets."""


def add_routes(app: Flask, settings: Settings) -> None:
    """Register everything that answers requests.

    Raises:
        SettingsError: when the settings ask for a library that is not installed.
    """
    # The order in which a request is checked: its door, its user, the size of its body. Only then is a body read, first
    # of all by `csrf`.
    first = (request_context, middleware, console_listener, auth, body_limits, long_work)
    for module in (*first, problems, discovery, security_headers, languages, template_filters, assets):
        module.init_app(app)
    csrf.init_app(app)
    _create_services(app, settings)
    _register_features(app)
    app.wsgi_app = DelayedRefusals(app.wsgi_app, SIGN_IN_PATHS)  # type: ignore[method-assign]
    pooling = app.extensions["pooling"]
    fast_path = FastPath(app.wsgi_app, build_fast_routes(app), pooling.requests, pooling.scopes)
    app.wsgi_app = fast_path  # type: ignore[method-assign]
    if not settings.poolproof.trusted_proxies and not environment().get("SCRIPT_NAME"):
        # For our worker. What a proxy says of prefix and scheme, and a prefix that Gunicorn takes off the path, are in
        # the environ only.
        app.extensions["fast_path"] = fast_path.take


def _create_services(app: Flask, settings: Settings) -> None:
    service, pooling = settings.poolproof, app.extensions["pooling"]
    limits = TimeLimits(service.grace_seconds, app.config["ATTEMPT_TTL"], service.keep_attempts_days)
    attempt_service = AttemptService(
        PublishedQuizCache(pooling.work.read),
        LeaderboardCache(pooling.work.read),
        AnswerWriter(pooling.writer, settings.pool.timeout, service.grace_seconds),
        PlayerRateLimiter(service.player_rate_limit / service.workers),
        app.config["SECRET_KEY"],
        limits,
        OverdueScorer(pooling.work, limits),
        pooling.work.read,
    )
    exporter = _create_otlp_exporter(service, pooling.fleet_folder, settings.pool.min_idle)
    app.extensions |= {
        "attempt_service": attempt_service,
        "published_cache": attempt_service.quiz_cache,
        "join_codes": JoinCodeCache(pooling.work.read, attempt_service.quiz_cache.catalog_version),
        "join_limiter": PlayerRateLimiter(JOIN_RATE / service.workers, burst=JOIN_BURST),
        "page_cache": PageCache(),
        "report_cache": ReportCache(pooling.work.read),
        "retention_task": RetentionTask(pooling.background, limits, partial(_observe_load, pooling.fleet_folder)),
        "encoded_leaderboards": EncodedLeaderboards(),
        "write_probe": WriteProbe(pooling.console, pooling.lanes),
        "console_service": _create_console_service(pooling, service, exporter),
        "otlp_exporter": exporter,
    }


def _observe_load(fleet: Path | None) -> WaitWhileBusy:
    return LoadThrottle(FleetDirectory(fleet) if fleet is not None else None).wait


def _create_console_service(pooling: PoolingState, service: ServiceSettings, exporter: Any) -> ConsoleService | None:
    if pooling.fleet_folder is None:
        return None
    reports = service.instance / lab_reports.FOLDER
    on_tick = exporter.tick if exporter is not None else None
    return ConsoleService(
        pooling, socket.gethostname(), reports, is_read_only=service.console_read_only, on_tick=on_tick
    )


def _create_otlp_exporter(service: ServiceSettings, fleet: Path | None, min_idle: int) -> Any:
    """Return the exporter of the fleet's metrics; None without an endpoint, and then nothing is imported."""
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
    return otlp.OtlpExporter(
        service.otlp_endpoint, service.otlp_interval, FleetDirectory(fleet), min_idle, socket.gethostname()
    )


def _register_features(app: Flask) -> None:
    api = openapi.create_api(app)
    apis = (accounts_api, bank_api, quizzes_api, sharing_api, attempts_api, results_api, collector_api, console_api)
    for blueprint in (discovery.blueprint, *(module.blueprint for module in apis), bank_api.imports):
        api.register_blueprint(blueprint)
        # REST uses no cookies, so another site cannot send requests in a user's name.
        csrf.exempt(blueprint)
    pages = (
        health, problems, assets, language_switch, accounts_pages, bank_pages, bulk_pages, editor_pages,
        builder_pages, draw_pages, quizzes_pages, attempts_pages, join_pages, sharing_pages, trial_pages, writing_pages,
        results_pages, console_pages, collector_pages,
    )  # fmt: skip
    for module in pages:
        app.register_blueprint(module.blueprint)
    app.register_blueprint(quizzes_pages.studio)
    app.register_blueprint(console_pages.metrics)
    # Players do not sign in; an attempt's URL is its key, and `fetch_metadata` keeps other sites out.
    csrf.exempt(attempts_pages.blueprint)
    csrf.exempt(join_pages.blueprint)
    # The page of an attempt has no token.
    csrf.exempt(trial_pages.blueprint)
    # Its form is on pages that are kept for all readers.
    csrf.exempt(language_switch.blueprint)
