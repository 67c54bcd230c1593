"""Whatever a request does or leaves undone, its connections are back when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, stream_with_context
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import create_engine, make_url, text
from werkzeug.test import EnvironBuilder

from poolproof import deadlines
from poolproof.engine import engine_options
from poolproof.integrations import flask_ext
from poolproof.integrations.flask_ext import read
from poolproof.settings import PoolSettings
from tests.support.pools import queue_pool
from webapp.web.request_context import PoolproofFlask

ONE = text("SELECT 1")


class Small:
    """Another author's app: Flask-SQLAlchemy sessions, views that misbehave."""

    def __init__(self, flask_class: type[Flask], folder: Path) -> None:
        self.app = flask_class("small")
        self.db = SQLAlchemy()
        settings = PoolSettings()
        self.app.config["SQLALCHEMY_DATABASE_URI"] = url = f"sqlite:///{folder / 'small.sqlite'}"
        self.app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(settings, make_url(url), threads=2)
        self.db.init_app(self.app)
        with self.app.app_context():
            self.engine = self.db.engine
        flask_ext.init_app(self.app, self.engine, settings)
        self._add_views()

    @property
    def out(self) -> int:
        return queue_pool(self.engine).checkedout()

    def _add_views(self) -> None:
        app, db = self.app, self.db

        @app.get("/session")
        def session() -> str:
            return str(db.session.execute(ONE).scalar_one())

        @app.get("/raises")
        def raises() -> str:
            db.session.execute(ONE)
            raise RuntimeError("the view raises")

        @app.get("/forgets")
        def forgets() -> str:
            app.forgotten = self.engine.connect()  # type: ignore[attr-defined]
            return "forgotten"

        @app.get("/stream")
        def stream() -> Response:
            def rows() -> Iterator[str]:
                with read() as connection:
                    for number in range(1000):
                        connection.execute(ONE)
                        yield f"{number}\n"

            return Response(stream_with_context(rows()))


@pytest.fixture(params=[Flask, PoolproofFlask])
def small(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Small]:
    small = Small(request.param, tmp_path)
    yield small
    assert small.out == 0
    small.engine.dispose()


@pytest.fixture
def visitor(small: Small) -> FlaskClient:
    return small.app.test_client()


def test_a_session_goes_back_when_the_request_ends(small: Small, visitor: FlaskClient) -> None:
    assert visitor.get("/session").text == "1"
    assert small.out == 0


def test_the_statements_of_a_request_are_counted(small: Small, visitor: FlaskClient) -> None:
    requests = small.app.extensions["pooling"].requests
    assert visitor.get("/session").text == "1"
    assert visitor.get("/session").text == "1"
    assert requests.requests == 2
    # BEGIN and SELECT: a session of Flask-SQLAlchemy is a transaction.
    assert requests.statements == 4


def test_a_view_that_raises_gives_back(small: Small, visitor: FlaskClient) -> None:
    assert visitor.get("/raises").status_code == 500
    assert small.out == 0


def test_a_forgotten_connection_is_taken_back_and_named_in_the_log(
    small: Small, visitor: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    assert visitor.get("/forgets").text == "forgotten"
    assert small.out == 0
    assert "A connection of the interactive lane is orphaned: GET forgets" in caplog.text


def test_a_stream_read_to_its_end_gives_back(small: Small, visitor: FlaskClient) -> None:
    assert visitor.get("/stream").text.endswith("999\n")
    assert small.out == 0


def test_a_stream_whose_client_hangs_up_gives_back(small: Small) -> None:
    body: Any = small.app(
        EnvironBuilder("/stream").get_environ(), lambda status, headers, error=None: lambda data: None
    )
    assert next(iter(body)) == b"0\n"
    assert small.out == 1
    body.close()
    assert small.out == 0


def test_a_stream_that_is_never_begun_gives_back(small: Small) -> None:
    body: Any = small.app(
        EnvironBuilder("/stream").get_environ(), lambda status, headers, error=None: lambda data: None
    )
    body.close()
    assert small.out == 0


def test_an_abandoned_stream_does_not_break_the_teardown_of_the_next_request(
    small: Small, visitor: FlaskClient
) -> None:
    torn_down = []
    small.app.teardown_appcontext(lambda error: torn_down.append(True))
    abandoned: Any = small.app(
        EnvironBuilder("/stream").get_environ(), lambda status, headers, error=None: lambda data: None
    )
    next(iter(abandoned))
    torn_down.clear()
    assert visitor.get("/session").text == "1"
    assert torn_down == [True]
    assert small.out == 1
    abandoned.close()


def test_a_teardown_of_another_extension_that_raises_costs_no_connection(small: Small, visitor: FlaskClient) -> None:
    def broken(error: BaseException | None) -> None:
        raise RuntimeError("another extension's teardown")

    # Registered later, so it runs first, and in plain Flask the session's own teardown does not run at all.
    small.app.teardown_appcontext(broken)
    try:
        visitor.get("/session")
    except RuntimeError:
        assert type(small.app) is Flask
    assert small.out == 0


def test_our_own_app_answers_although_a_teardown_raises(tmp_path: Path) -> None:
    small = Small(PoolproofFlask, tmp_path)

    @small.app.teardown_appcontext
    def broken(error: BaseException | None) -> None:
        raise RuntimeError("another extension's teardown")

    assert small.app.test_client().get("/session").text == "1"
    assert small.out == 0
    small.engine.dispose()


def test_a_test_client_that_keeps_its_context_still_works(small: Small) -> None:
    with small.app.test_client() as client:
        assert client.get("/session").text == "1"


@pytest.mark.parametrize(
    ("header", "trusted", "seconds"),
    [("3", True, 3), ("3", False, 20), ("100", True, 20), ("-1", True, 20), ("soon", True, 20), ("nan", True, 20)],
)
def test_a_trusted_proxy_may_shorten_a_requests_deadline(
    tmp_path: Path, header: str, trusted: bool, seconds: float
) -> None:
    app, engine = Flask("deadline"), create_engine(f"sqlite:///{tmp_path / 'deadline.sqlite'}")
    settings = PoolSettings()
    flask_ext.init_app(app, engine, settings, deadline_header="X-Request-Timeout" if trusted else None)
    app.add_url_rule("/left", view_func=lambda: str(deadlines.remaining()))
    left = float(app.test_client().get("/left", headers={"X-Request-Timeout": header}).text)
    assert seconds - 1 < left <= seconds
    engine.dispose()
