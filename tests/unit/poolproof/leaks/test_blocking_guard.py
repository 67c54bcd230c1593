"""A request that holds a connection while it does something else gets an error that names the line."""

from __future__ import annotations

import http.client
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx2
import pytest
from flask import Flask, render_template_string
from flask.testing import FlaskClient
from sqlalchemy import create_engine, make_url, text

from poolproof.engine import engine_options
from poolproof.errors import PoolUsageError
from poolproof.integrations import flask_ext
from poolproof.integrations.flask_ext import read
from poolproof.leaks import blocking_guard
from poolproof.metrics.blocking_calls import BLOCKING_CALLS
from poolproof.settings import PoolSettings

ONE = text("SELECT 1")


class Quiet(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def neighbour() -> Iterator[str]:
    """Another service."""
    server = HTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def app(tmp_path: Path, neighbour: str) -> Iterator[Flask]:
    app = Flask("guarded")
    settings = PoolSettings()
    url = make_url(f"sqlite:///{tmp_path / 'guarded.sqlite'}")
    engine = create_engine(url, **engine_options(settings, url, threads=2))
    flask_ext.init_app(app, engine, settings)
    activities: dict[str, Callable[[], object]] = {
        "sleep": lambda: time.sleep(0),
        "render": lambda: render_template_string("{{ 1 }}"),
        "urllib": lambda: urllib.request.urlopen(neighbour).close(),  # noqa: S310 - our own
        "httpx2": lambda: httpx2.get(neighbour),
        "compute": lambda: sum(range(1000)),
    }

    @app.get("/holding/<activity>")
    def holding(activity: str) -> str:
        with read() as connection:
            connection.execute(ONE)
            activities[activity]()
        return "done"

    @app.get("/afterwards/<activity>")
    def afterwards(activity: str) -> str:
        with read() as connection:
            connection.execute(ONE)
        activities[activity]()
        return "done"

    yield app
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    engine.dispose()


@pytest.fixture
def visitor(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.mark.parametrize(
    ("activity", "what"),
    [("sleep", "sleeping"), ("render", "rendering"), ("urllib", "calling out"), ("httpx2", "calling out")],
)
def test_in_a_test_it_is_an_error_that_names_both_lines(
    app: Flask, visitor: FlaskClient, activity: str, what: str
) -> None:
    app.testing = True
    with pytest.raises(
        PoolUsageError, match=rf"{what}.* at .*:\d+ in .* borrowed at .*test_blocking_guard.py:\d+ in holding"
    ):
        visitor.get(f"/holding/{activity}")


@pytest.mark.parametrize("activity", ["sleep", "render", "urllib", "httpx2"])
def test_in_production_it_is_counted_and_logged_once(
    visitor: FlaskClient, activity: str, caplog: pytest.LogCaptureFixture
) -> None:
    blocking_guard._logged_lines.clear()
    before = sum(BLOCKING_CALLS.counts.values())
    for _ in range(3):
        assert visitor.get(f"/holding/{activity}").text == "done"
    lines = [record for record in caplog.records if "no other request can use it" in record.getMessage()]
    assert len(lines) == len(blocking_guard._logged_lines)
    assert sum(BLOCKING_CALLS.counts.values()) - before == 3 * len(lines)


@pytest.mark.parametrize("activity", ["sleep", "render", "urllib", "httpx2"])
def test_after_the_connection_is_back_everything_is_allowed(app: Flask, visitor: FlaskClient, activity: str) -> None:
    app.testing = True
    assert visitor.get(f"/afterwards/{activity}").text == "done"


def test_computing_is_allowed_at_any_time(app: Flask, visitor: FlaskClient) -> None:
    app.testing = True
    assert visitor.get("/holding/compute").text == "done"


def test_outside_of_requests_nobody_is_guarded(app: Flask) -> None:
    app.testing = True
    with app.app_context(), read() as connection:
        connection.execute(ONE)
        time.sleep(0)


def test_a_connection_to_the_database_itself_is_no_call_out(app: Flask) -> None:
    before = dict(BLOCKING_CALLS.counts)
    with suppress(OSError), socket.create_connection(("127.0.0.1", 1), timeout=1):
        pass
    with suppress(OSError):
        http.client.HTTPConnection("127.0.0.1", 1).connect()
    assert BLOCKING_CALLS.counts == before
