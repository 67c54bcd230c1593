"""FastAPI with a synchronous engine: endpoints declared with `def` run in threads, sessions come from a dependency."""

# No `from __future__ import annotations`: FastAPI looks at the annotations of functions inside a function.
import time
from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.responses import PlainTextResponse
from sqlalchemy import create_engine, insert, select, text
from sqlalchemy.orm import Session, sessionmaker

from poolproof import PoolproofMiddleware, adopt
from tests.apps.sample import HELD, HOLD, OPTIONS, Author, SampleApp, session_variables

STEPS = 10


def create(url: str, other_url: str, *, adopted: bool) -> SampleApp:
    engine = create_engine(url, **OPTIONS)
    app = FastAPI()
    if adopted:
        adopt(engine)
        app.add_middleware(PoolproofMiddleware)
    make_session = sessionmaker(engine)

    def get_session() -> Iterator[Session]:
        with make_session() as session:
            yield session

    Database = Annotated[Session, Depends(get_session)]  # noqa: N806 - a type

    @app.get("/hold", response_class=PlainTextResponse)
    def hold(session: Database) -> str:
        for _ in range(STEPS):
            session.execute(text("SELECT 1"))
            time.sleep(HOLD)
            # What follows a commit borrows again, and with the stock pool overtakes whoever waits.
            session.commit()
        return "held"

    @app.get("/rollback", response_class=PlainTextResponse)
    def rollback(session: Database) -> str:
        session.execute(insert(Author).values(id=1))
        session.rollback()
        return str(len(session.scalars(select(Author)).all()))

    @app.get("/leak/session", response_class=PlainTextResponse)
    def leak_session() -> str:
        HELD.append(session := make_session())
        return str(session.scalars(select(Author)).all())  # the session's leak

    @app.get("/leak/connection", response_class=PlainTextResponse)
    def leak_connection() -> str:
        HELD.append(engine.connect())  # the connection's leak
        return "leaked"

    @app.get("/leak/raw", response_class=PlainTextResponse)
    def leak_raw() -> str:
        HELD.append(engine.raw_connection())  # the raw leak
        return "leaked"

    @app.get("/variables")
    def variables(session: Database) -> dict[str, str]:
        return session_variables(session.execute, engine.dialect.name)

    return SampleApp(app, [engine], is_asgi=True)
