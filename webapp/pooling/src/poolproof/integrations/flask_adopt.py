"""`Poolproof`: the Flask extension for an application with Flask-SQLAlchemy or Flask-SQLAlchemy-Lite."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from flask import Flask, Response, before_render_template, current_app, request
from sqlalchemy import Engine
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeoutError

from poolproof.adoption.engines import DEFAULT_SETTINGS, adopt, adopted_lane
from poolproof.adoption.process import AdoptedProcess
from poolproof.adoption.settings import AdoptSettings
from poolproof.core.stats import RequestStatistics
from poolproof.errors import PoolConfigurationError
from poolproof.integrations import unavailable
from poolproof.integrations.flask_cli import pool_commands
from poolproof.integrations.flask_ext import set_request_name
from poolproof.integrations.wsgi import ConnectionCleanupMiddleware
from poolproof.leaks.checkouts import current_request
from poolproof.metrics import blocking_calls

EXTENSION = "poolproof"
DEFAULT_ENGINE = "default"
"""The name of the engine that has no bind key."""


class Database(Protocol):
    """Flask-SQLAlchemy's `SQLAlchemy`, as far as it is used here; Flask-SQLAlchemy-Lite's is alike."""

    @property
    def engines(self) -> Mapping[Any, Engine]: ...  # noqa: D102


Databases = Database | Engine | Mapping[str, Engine]


class Poolproof:
    """Adopts every engine of an application: `Poolproof(app, db)`, or `Poolproof().init_app(app, db)` in a factory.

    Every engine of every bind gets the fair pool, leak reports and metrics under its bind key. Each request has a
    deadline, leaves no connection behind, and gets 503 with Retry-After where no connection is free in time.
    """

    def __init__(
        self,
        app: Flask | None = None,
        db: Databases | None = None,
        *,
        settings: AdoptSettings = DEFAULT_SETTINGS,
        fleet_folder: Path | None = None,
        deadline_header: str | None = None,
    ) -> None:
        """Adopt the engines of `app` at once where it is given.

        Args:
            app: The application.
            db: Its Flask-SQLAlchemy extension, which was initialised for it; or an engine, or engines by their names.
            settings: What is watched, and how; see `AdoptSettings`.
            fleet_folder: Where the processes of one machine publish their state for each other. Default: `poolproof`
                and the name of the machine, in the application's instance folder; in tests (`TESTING`) none.
            deadline_header: A header with seconds by which a trusted proxy shortens the deadline of a request.

        Raises:
            PoolConfigurationError: as `init_app` does.
        """
        self._settings = settings
        self._fleet_folder = fleet_folder
        self._deadline_header = deadline_header
        if app is not None:
            if db is None:
                raise PoolConfigurationError(
                    "Poolproof(app, db) needs both: the application, and its SQLAlchemy() or an engine."
                )
            self.init_app(app, db)

    def init_app(self, app: Flask, db: Databases) -> None:
        """Adopt every engine of `app`; call it after `db.init_app(app)`.

        Raises:
            PoolConfigurationError: when `db` was not initialised for `app`, or an engine cannot be adopted.
        """
        if EXTENSION in app.extensions:
            raise PoolConfigurationError("Poolproof was initialised for this application already.")
        settings = self._settings
        lanes = [
            adopted_lane(adopt(engine, str(key or DEFAULT_ENGINE), settings))
            for key, engine in _engines(app, db).items()
        ]
        requests = RequestStatistics(is_timing=settings.metrics)
        process = AdoptedProcess(lanes, requests, self._folder(app), settings.min_idle)
        app.extensions[EXTENSION] = process
        middleware = ConnectionCleanupMiddleware(
            app.wsgi_app,
            settings.request_deadline,
            self._deadline_header,
            _never,
            requests,
            spares_threads=True,
        )
        app.wsgi_app = middleware  # type: ignore[method-assign]
        app.before_request(process.ensure_registered)
        app.before_request(set_request_name)
        before_render_template.connect(_count_rendering, app)
        _answer_full_pool(app)
        app.cli.add_command(pool_commands)

    def _folder(self, app: Flask) -> Path | None:
        if self._fleet_folder is not None:
            return self._fleet_folder
        return None if app.testing else Path(app.instance_path) / EXTENSION / socket.gethostname()


def get_process() -> AdoptedProcess:
    """Return the adopted engines of the current application."""
    process: AdoptedProcess = current_app.extensions[EXTENSION]
    return process


def busy_response(error: BaseException) -> Response:
    """Answer a request that got no connection: 503 with Retry-After, as a problem to a client that asks for JSON."""
    is_page = request.accept_mimetypes.best_match(["text/html", "application/json"]) == "text/html"
    body = f"{unavailable.SENTENCE}\n" if is_page else unavailable.problem_body()
    response = Response(body, status=503, mimetype="text/plain" if is_page else unavailable.PROBLEM_TYPE)
    response.headers["Retry-After"] = unavailable.retry_after()
    return response


def _engines(app: Flask, db: Databases) -> Mapping[Any, Engine]:
    if isinstance(db, Engine):
        return {DEFAULT_ENGINE: db}
    if isinstance(db, Mapping):
        return db
    with app.app_context():
        try:
            return db.engines
        except (RuntimeError, KeyError) as error:
            raise PoolConfigurationError("Call db.init_app(app) before Poolproof's: it adopts its engines.") from error


def _answer_full_pool(app: Flask) -> None:
    handlers = app.error_handler_spec[None][None]
    # One that the application has registered before is its own answer; a later one takes the place of this.
    if SQLAlchemyTimeoutError not in handlers:
        app.register_error_handler(SQLAlchemyTimeoutError, busy_response)


def _never() -> bool:
    return False


def _count_rendering(sender: Flask, template: Any, **context: Any) -> None:
    # Counted and not logged: it is what the views of many applications do, and seldom what fills a pool.
    current = current_request.get()
    if current is not None and current.live():
        blocking_calls.count("rendering")
