"""Our app with views that do everything wrong, for Gunicorn: `gunicorn tests.integration.misbehaving:app`."""

from __future__ import annotations

import gc
import os
import select
import threading
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, request, stream_with_context
from sqlalchemy import Connection, text

from poolproof.integrations.flask_ext import get_pooling, read
from tests.support.narrowing import not_none
from tests.support.pools import queue_pool
from webapp import create_app
from webapp.extensions import db

ONE = text("SELECT 1")
wrong = Blueprint("wrong", __name__, url_prefix="/wrong")
forgotten: list[Any] = []


def rest(connection: Connection, seconds: float) -> None:
    """Hold the connection so long, or until the server ends it; not time.sleep, which the guard would name first."""
    select.select([not_none(connection.connection.dbapi_connection)._sock], [], [], seconds)


@wrong.get("/raises")
def raises() -> str:
    db.session.execute(ONE)
    with read() as connection:
        connection.execute(ONE)
        raise RuntimeError("a view that raises")


@wrong.get("/forgets")
def forgets() -> str:
    forgotten.append(get_pooling().work.engine.connect())
    return "forgotten"


@wrong.get("/leaks")
def leaks() -> str:
    get_pooling().work.engine.connect().execute(ONE)
    gc.collect()
    return "leaked"


@wrong.get("/orphans")
def orphans() -> str:
    engine = get_pooling().work.engine
    thread = threading.Thread(target=lambda: forgotten.append(engine.connect()), name="ended")
    thread.start()
    thread.join()
    return "orphaned"


@wrong.get("/idles")
def idles() -> str:
    with read() as connection:
        connection.execute(ONE)
        rest(connection, request.args.get("seconds", 1.5, float))
    return "idled"


@wrong.get("/lingers")
def lingers() -> str:
    with read() as connection:
        connection.execute(text("SELECT SLEEP(:seconds)"), {"seconds": request.args.get("seconds", 1.5, float)})
    return "lingered"


@wrong.get("/nests")
def nests() -> str:
    with read() as outer, read() as inner:
        outer.execute(ONE)
        inner.execute(ONE)
        rest(inner, request.args.get("seconds", 0.0, float))
    return "nested"


@wrong.get("/session")
def session() -> str:
    return str(db.session.execute(ONE).scalar_one())


@wrong.get("/stream")
def stream() -> Response:
    def rows() -> Iterator[str]:
        with read() as connection:
            for number in range(100_000):
                connection.execute(ONE)
                yield f"{number}".ljust(1000) + "\n"

    return Response(stream_with_context(rows()))


@wrong.get("/out")
def out() -> dict[str, int]:
    return {"worker": os.getpid(), "out": queue_pool(get_pooling().work.engine).checkedout()}


app = create_app()
app.register_blueprint(wrong)


@app.teardown_appcontext
def broken(error: BaseException | None) -> None:
    raise RuntimeError("another extension's teardown")
