"""The one-liner: `poolclass=FairQueuePool`, and nothing else."""

from __future__ import annotations

import time
from typing import Any

from flask import Flask
from sqlalchemy import create_engine, insert, select, text
from sqlalchemy.orm import Session

from poolproof import FairQueuePool
from tests.apps.sample import HOLD, OPTIONS, Author, SampleApp, session_variables


def create(url: str, other_url: str, *, adopted: bool) -> SampleApp:
    options: dict[str, Any] = {"poolclass": FairQueuePool} if adopted else {}
    engine = create_engine(url, **OPTIONS, **options)
    app = Flask(__name__)

    @app.get("/hold")
    def hold() -> str:
        with Session(engine) as session:
            session.execute(text("SELECT 1"))
            time.sleep(HOLD)
        return "held"

    @app.get("/rollback")
    def rollback() -> str:
        with Session(engine) as session:
            session.execute(insert(Author).values(id=1))
            session.rollback()
            return str(len(session.scalars(select(Author)).all()))

    @app.get("/variables")
    def variables() -> dict[str, str]:
        with Session(engine) as session:
            return session_variables(session.execute, engine.dialect.name)

    return SampleApp(app, [engine])
