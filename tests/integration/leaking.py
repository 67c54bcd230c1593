"""Our app, made to fail with secrets at hand, for Gunicorn: `gunicorn tests.integration.leaking:app`.

The header X-Fail says how; a request without it is served as ever.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from typing import Any

from flask import request
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from poolproof.integrations.flask_ext import get_pooling
from webapp import create_app

app = create_app()
log = logging.getLogger("leaking")


def duplicate() -> None:
    """Store the same name twice; the values are what a library may quote."""
    values = {"name": request.headers["X-Value"], "hash": request.headers["X-Hash"]}
    statement = text(
        "INSERT INTO \"user\" (name, password_hash, role, created_at) VALUES (:name, :hash, 'author', :name)"
        if get_pooling().work.engine.dialect.name == "sqlite"
        else "INSERT INTO user (name, password_hash, role, created_at) VALUES (:name, :hash, 'author', NOW())"
    )
    for _ in range(2):
        get_pooling().work.run_in_transaction(lambda connection: connection.execute(statement, values))


def in_a_thread() -> None:
    def fail(token: str) -> None:
        raise RuntimeError(f"no {token}")

    thread = threading.Thread(target=fail, args=(request.headers["X-Value"],))
    thread.start()
    thread.join()


def warned() -> None:
    try:
        duplicate()
    except DBAPIError as error:
        log.warning("It was not stored: %s", error)
        log.warning("It was not stored: %s", error.orig)


def with_everything() -> None:
    url = get_pooling().work.engine.url.render_as_string(hide_password=False)
    headers = "\n".join(f"{name}: {value}" for name, value in request.headers)
    raise RuntimeError(f"{request.path} {url}\n{headers}")


FAILURES = {
    "duplicate": duplicate,
    "thread": in_a_thread,
    "warning": warned,
    "everything": with_everything,
}


@app.before_request
def fail_as_asked() -> None:
    if (failure := request.headers.get("X-Fail")) in FAILURES:
        FAILURES[failure]()


_served = app.wsgi_app


def outside_of_flask(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    if environ.get("HTTP_X_FAIL") == "outside":
        raise RuntimeError(f"outside of Flask: {environ['PATH_INFO']}")
    return _served(environ, start_response)


app.wsgi_app = outside_of_flask  # type: ignore[method-assign]
