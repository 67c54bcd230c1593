"""create_app: the one place where the parts of the service are put together."""

from __future__ import annotations

import socket

from flask import Flask
from sqlalchemy import make_url

from poolproof.engine import engine_options
from poolproof.integrations import flask_ext as pooling
from webapp.collector.sources.open_trivia import OpenTriviaSource
from webapp.collector.sources.registry import SourceRegistry
from webapp.extensions import db
from webapp.instance_folder import prepare_database_file, prepare_folder, secret_key
from webapp.settings import OFF, ServiceSettings, Settings, environment, load_settings
from webapp.web import log_config, uploads
from webapp.web.path_prefix import trust_proxies
from webapp.web.request_context import PoolproofFlask


def create_app(settings: Settings | None = None, *, with_routes: bool = True) -> Flask:
    """Make the app. It opens no connection and starts no thread.

    Args:
        settings: Default: read from the environment.
        with_routes: False for a process that answers no requests, such as a command or a collector; it does not even
            import pages and REST.

    Raises:
        SettingsError: when the environment is not acceptable.
        PoolConfigurationError: when the pool cannot serve this database.
    """
    settings = settings or load_settings()
    log_config.configure_logging(settings.poolproof.log_format, settings.poolproof.log_level)
    app = PoolproofFlask("webapp", instance_path=str(settings.poolproof.instance.resolve()))
    app.config.update(_configuration(settings))
    _bind_database(app, settings)
    app.extensions["source_registry"] = _create_sources(settings.poolproof)
    if with_routes:
        from webapp.routes import add_routes

        add_routes(app, settings)
    if settings.poolproof.trusted_proxies:
        app.wsgi_app = trust_proxies(app.wsgi_app, settings.poolproof.trusted_proxies)  # type: ignore[method-assign]
    return app


def _configuration(settings: Settings) -> dict[str, object]:
    url = make_url(settings.database_url)
    return {
        "SETTINGS": settings,
        "SECRET_KEY": secret_key(settings),
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": engine_options(settings.pool, url, settings.poolproof.threads),
        uploads.MAX_UPLOAD_CONFIG_KEY: settings.poolproof.max_import_mib * 1024 * 1024,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": settings.poolproof.secure_cookies,
        "API_TOKEN_TTL": settings.poolproof.api_token_ttl_hours * 3600,
        "ATTEMPT_TTL": settings.poolproof.attempt_ttl_hours * 3600,
        "CONSOLE_LISTENER": None if settings.poolproof.console_bind == OFF else settings.poolproof.console_bind,
        "CONSOLE_PORT": _console_port(settings.poolproof),
    }


def _console_port(service: ServiceSettings) -> str:
    """Return the port of the console's listener; "" where there is none."""
    return service.console_bind.rpartition(":")[2] if service.console_bind != OFF else ""


def _bind_database(app: Flask, settings: Settings) -> None:
    service = settings.poolproof
    is_watched = service.console_bind != OFF or service.otlp_endpoint is not None
    url = make_url(settings.database_url)
    if is_watched or url.get_backend_name() == "sqlite":
        prepare_folder(service.instance)
    prepare_database_file(url)
    db.init_app(app)
    with app.app_context():
        engine = db.engine
    header = "X-Request-Timeout" if service.trusted_proxies else None
    fleet_folder = service.instance / "fleet" / socket.gethostname() if is_watched else None
    pooling.init_app(app, engine, settings.pool, service.fleet, deadline_header=header, fleet_folder=fleet_folder)


def _create_sources(service: ServiceSettings) -> SourceRegistry:
    open_trivia = OpenTriviaSource(service.opentdb_url, spacing=service.opentdb_min_interval)
    return SourceRegistry(service.sources_dir or service.instance / "sources", open_trivia, environment())
