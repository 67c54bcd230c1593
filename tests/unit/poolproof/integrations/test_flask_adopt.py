"""The Flask extension for an application's own engines; whole applications are in tests/apps."""

from __future__ import annotations

import contextvars
import json
import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask, render_template_string
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy_lite import SQLAlchemy as SQLAlchemyLite
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeoutError

from poolproof import Poolproof
from poolproof.adoption.engines import adopted_lane
from poolproof.core.queue_pool import FairQueuePool
from poolproof.errors import PoolConfigurationError
from poolproof.metrics.blocking_calls import BLOCKING_CALLS
from tests.support.event_loop import run_in_thread
from tests.unit.poolproof.integrations.site import site


@pytest.fixture
def made(tmp_path: Path) -> Iterator[tuple[Flask, dict[str, Engine]]]:
    with site(tmp_path) as made:
        yield made


def test_a_full_pool_is_503_and_a_problem_only_to_a_client_that_asks_for_json(
    made: tuple[Flask, dict[str, Engine]],
) -> None:
    app, engines = made
    with engines["books"].connect():
        page = app.test_client().get("/", headers={"Accept": "text/html"})
        problem = app.test_client().get("/", headers={"Accept": "application/json"})
    assert (page.status_code, page.mimetype, problem.mimetype) == (503, "text/plain", "application/problem+json")
    assert json.loads(problem.text)["status"] == 503
    assert int(page.headers["Retry-After"]) > 0


@pytest.mark.parametrize("is_before", [True, False])
def test_the_applications_own_answer_takes_its_place_registered_before_or_after(
    tmp_path: Path, *, is_before: bool
) -> None:
    app = Flask("own answer")
    app.testing = True
    engine = create_engine(f"sqlite:///{tmp_path / 'own'}", pool_size=1, max_overflow=0, pool_timeout=0.1)
    app.add_url_rule("/", "home", lambda: str(engine.connect()))

    def answer(error: SQLAlchemyTimeoutError) -> tuple[str, int]:
        return "our own page", 503

    if is_before:
        app.register_error_handler(SQLAlchemyTimeoutError, answer)
    Poolproof(app, engine)
    if not is_before:
        app.register_error_handler(SQLAlchemyTimeoutError, answer)
    with engine.connect():
        assert app.test_client().get("/").text == "our own page"
    engine.dispose()


def test_rendering_with_a_connection_is_counted_and_neither_refused_nor_logged_in_debug_mode(
    made: tuple[Flask, dict[str, Engine]], caplog: pytest.LogCaptureFixture
) -> None:
    app, engines = made
    app.debug = True

    @app.get("/page")
    def page() -> str:
        with engines["books"].connect():
            return render_template_string("a page")

    caplog.set_level(logging.INFO)
    before = BLOCKING_CALLS.counts.get("rendering", 0)
    assert app.test_client().get("/page").text == "a page"
    assert BLOCKING_CALLS.counts["rendering"] == before + 1
    assert caplog.records == []


def test_a_thread_that_outlives_its_request_keeps_what_it_has_borrowed(
    made: tuple[Flask, dict[str, Engine]], caplog: pytest.LogCaptureFixture
) -> None:
    app, engines = made
    borrowed, may_end = threading.Event(), threading.Event()
    results: list[object] = []

    def work() -> None:
        with engines["books"].connect() as connection:
            borrowed.set()
            may_end.wait()
            results.append(connection.execute(text("SELECT 1")).scalar_one())

    threads: list[threading.Thread] = []

    @app.get("/task")
    def start() -> str:
        # As extensions do that run tasks with the context of a request.
        threads.append(threading.Thread(target=contextvars.copy_context().run, args=(work,)))
        threads[0].start()
        borrowed.wait()
        return "started"

    assert app.test_client().get("/task").text == "started"
    may_end.set()
    threads[0].join()
    assert (results, caplog.records) == ([1], [])


def test_to_connect_to_a_second_engine_is_no_call_out_of_a_request_that_holds_the_first(
    made: tuple[Flask, dict[str, Engine]],
) -> None:
    app, engines = made
    server = socket.create_server(("127.0.0.1", 0))

    def connect_by_tcp(*arguments: object) -> None:
        # As a driver does that is written in Python; what follows opens the database.
        socket.create_connection(server.getsockname()).close()

    event.listen(engines["archive"], "do_connect", connect_by_tcp)

    @app.get("/both")
    def both() -> str:
        with engines["books"].connect(), engines["archive"].connect():
            return "both"

    before = dict(BLOCKING_CALLS.counts)
    assert app.test_client().get("/both").text == "both"
    assert before == BLOCKING_CALLS.counts
    server.close()


def test_a_pool_that_was_adopted_is_not_adopted_again(made: tuple[Flask, dict[str, Engine]]) -> None:
    with pytest.raises(PoolConfigurationError, match="already"):
        Poolproof(*made)


def test_an_extension_that_is_not_initialised_yet_is_refused_with_the_order() -> None:
    with pytest.raises(PoolConfigurationError, match=r"db\.init_app\(app\) before"):
        Poolproof(Flask("early"), SQLAlchemy())
    with pytest.raises(PoolConfigurationError, match="needs both"):
        Poolproof(Flask("half"))


def test_every_engine_of_flask_sqlalchemy_lite_is_adopted_under_its_name(tmp_path: Path) -> None:
    app = Flask("lite", instance_path=str(tmp_path))
    app.testing = True
    app.config["SQLALCHEMY_ENGINES"] = {name: f"sqlite:///{tmp_path / name}.db" for name in ("default", "archive")}
    db = SQLAlchemyLite(app)

    def adopt_engines() -> dict[str, Engine]:
        Poolproof().init_app(app, db)
        with app.app_context():
            return dict(db.engines)

    # The extension ends its context in an event loop.
    engines = run_in_thread(adopt_engines)
    assert {adopted_lane(engine).name for engine in engines.values()} == {"default", "archive"}
    for engine in engines.values():
        assert isinstance(engine.pool, FairQueuePool)
        engine.dispose()
