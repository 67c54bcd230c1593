"""Several binds, each with its own engine: a pool, a name and metrics for each."""

from __future__ import annotations

import time

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from poolproof import Poolproof, metrics_blueprint
from tests.apps.sample import HELD, HOLD, OPTIONS, Author, Base, SampleApp, session_variables


def create(url: str, other_url: str, *, adopted: bool) -> SampleApp:
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = OPTIONS
    app.config["SQLALCHEMY_BINDS"] = {"archive": {"url": other_url, **OPTIONS}}
    app.config["TESTING"] = adopted
    db = SQLAlchemy(app, model_class=Base)
    if adopted:
        Poolproof(app, db)
        app.register_blueprint(metrics_blueprint())

    @app.get("/hold")
    def hold() -> str:
        with db.engines["archive"].connect() as connection:
            connection.execute(text("SELECT 1"))
            time.sleep(HOLD)
        return "held"

    @app.get("/rollback")
    def rollback() -> str:
        with db.engines["archive"].connect() as connection:
            connection.execute(text("INSERT INTO sample_author (id) VALUES (1)"))
            connection.rollback()
            return str(len(connection.execute(select(Author.id)).all()))

    @app.get("/leak/session")
    def leak_session() -> str:
        HELD.append(session := Session(db.engines["archive"]))
        return str(session.get(Author, 1))  # the session's leak

    @app.get("/leak/connection")
    def leak_connection() -> str:
        HELD.append(db.engines["archive"].connect())  # the connection's leak
        return "leaked"

    @app.get("/leak/raw")
    def leak_raw() -> str:
        HELD.append(db.engine.raw_connection())  # the raw leak
        return "leaked"

    @app.get("/variables")
    def variables() -> dict[str, str]:
        with db.engines["archive"].connect() as connection:
            return session_variables(connection.execute, connection.dialect.name)

    with app.app_context():
        return SampleApp(app, [db.engines["archive"], db.engine])
