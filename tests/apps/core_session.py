"""SQLAlchemy without an extension: an engine, and a get_session that each view calls."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from sqlalchemy import create_engine, insert, select, text
from sqlalchemy.orm import Session

from poolproof import Poolproof
from tests.apps.sample import HELD, HOLD, OPTIONS, Author, SampleApp, session_variables


def create(url: str, other_url: str, *, adopted: bool) -> SampleApp:
    engine = create_engine(url, **OPTIONS)
    app = Flask(__name__)
    app.config["TESTING"] = adopted
    if adopted:
        Poolproof(app, engine)

    @contextmanager
    def get_session() -> Iterator[Session]:
        with Session(engine) as session:
            yield session

    @app.get("/hold")
    def hold() -> str:
        with get_session() as session:
            session.execute(text("SELECT 1"))
            time.sleep(HOLD)
        return "held"

    @app.get("/rollback")
    def rollback() -> str:
        with get_session() as session:
            session.execute(insert(Author).values(id=1))
            session.rollback()
            return str(len(session.scalars(select(Author)).all()))

    @app.get("/leak/session")
    def leak_session() -> str:
        HELD.append(session := get_session().__enter__())
        return str(session.scalars(select(Author)).all())  # the session's leak

    @app.get("/leak/connection")
    def leak_connection() -> str:
        HELD.append(engine.connect())  # the connection's leak
        return "leaked"

    @app.get("/leak/raw")
    def leak_raw() -> str:
        HELD.append(engine.raw_connection())  # the raw leak
        return "leaked"

    @app.get("/variables")
    def variables() -> dict[str, str]:
        with get_session() as session:
            return session_variables(session.execute, engine.dialect.name)

    return SampleApp(app, [engine])
