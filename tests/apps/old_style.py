"""The old style: everything in one module, in debug mode; templates are given queries that are not read yet."""

from __future__ import annotations

import time

from flask import Flask, render_template, request, request_started
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from poolproof import Poolproof
from tests.apps.sample import HELD, HOLD, OPTIONS, Author, Base, SampleApp, session_variables


def create(url: str, other_url: str, *, adopted: bool) -> SampleApp:
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = OPTIONS
    app.config["TESTING"] = adopted
    app.debug = adopted
    db = SQLAlchemy(app, model_class=Base)
    if adopted:
        Poolproof(app, db)

    @app.route("/hold")
    def hold() -> str:
        authors = db.session.scalars(select(Author))
        time.sleep(HOLD)
        return render_template("authors.html", authors=authors)

    @app.route("/rollback")
    def rollback() -> str:
        db.session.execute(text("INSERT INTO sample_author (id) VALUES (1)"))
        db.session.rollback()
        return str(db.session.query(Author).count())

    @app.route("/leak/session")
    def leak_session() -> str:
        HELD.append(session := Session(db.engine))
        # The template is what reads, by the call in this line.
        return render_template("lazy.html", read=lambda: session.scalars(select(Author)).all())  # the session's leak

    @app.route("/leak/connection")
    def leak_connection() -> str:
        return "leaked by the signal before this view"

    @app.route("/leak/raw")
    def leak_raw() -> str:
        HELD.append(db.session.connection().engine.raw_connection())  # the raw leak
        return "leaked"

    @app.route("/variables")
    def variables() -> dict[str, str]:
        return session_variables(db.session.execute, db.engine.dialect.name)

    def on_request(sender: Flask) -> None:
        with_leak(db)

    if adopted:
        HELD.append(on_request)
        request_started.connect(on_request, app)
    with app.app_context():
        return SampleApp(app, [db.engine])


def with_leak(db: SQLAlchemy) -> None:
    if request.path == "/leak/connection":
        HELD.append(db.engine.connect())  # the connection's leak
