"""The Flask extension for an application's own engines; whole applications are in tests/apps."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask, render_template_string
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy_lite import SQLAlchemy as SQLAlchemyLite
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeoutError

from poolproof import Poolproof
from poolproof.adoption.engines import adopted_lane
from poolproof.core.queue_pool import FairQueuePool
from poolproof.errors import PoolConfigurationError
from poolproof.metrics.blocking_calls import BLOCKING_CALLS
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
    Poolproof().init_app(app, db)
    with app.app_context():
        engines = db.engines
    assert {adopted_lane(engine).name for engine in engines.values()} == {"default", "archive"}
    for engine in engines.values():
        assert isinstance(engine.pool, FairQueuePool)
        engine.dispose()
