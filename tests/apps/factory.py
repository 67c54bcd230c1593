"""A factory: the extension is made at the top of a module, and bound to each application."""

from __future__ import annotations

import time

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from poolproof import Poolproof
from tests.apps.sample import HELD, HOLD, OPTIONS, Author, Base, SampleApp, session_variables

db = SQLAlchemy(model_class=Base)
poolproof = Poolproof()


def create_app(url: str, *, adopted: bool) -> Flask:
    app = Flask(__name__)
    app.config.update(SQLALCHEMY_DATABASE_URI=url, SQLALCHEMY_ENGINE_OPTIONS=OPTIONS, TESTING=adopted)
    db.init_app(app)
    if adopted:
        poolproof.init_app(app, db)
    add_views(app)
    return app


def add_views(app: Flask) -> None:
    @app.get("/hold")
    def hold() -> str:
        db.session.execute(text("SELECT 1"))
        time.sleep(HOLD)
        return "held"

    @app.get("/rollback")
    def rollback() -> str:
        db.session.add(Author(id=1))
        db.session.flush()
        db.session.rollback()
        return str(len(db.session.scalars(select(Author)).all()))

    @app.get("/leak/session")
    def leak_session() -> str:
        session = Session(db.engine)
        HELD.append(session)
        return str(session.scalars(select(Author)).all())  # the session's leak

    @app.get("/leak/connection")
    def leak_connection() -> str:
        HELD.append(db.engine.connect())  # the connection's leak
        return "leaked"

    @app.get("/leak/raw")
    def leak_raw() -> str:
        HELD.append(db.engine.raw_connection())  # the raw leak
        return "leaked"

    @app.get("/variables")
    def variables() -> dict[str, str]:
        return session_variables(db.session.execute, db.engine.dialect.name)


def create(url: str, other_url: str, *, adopted: bool) -> SampleApp:
    app = create_app(url, adopted=adopted)
    with app.app_context():
        return SampleApp(app, [db.engine])
