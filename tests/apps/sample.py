"""What the sample applications share: their options, and how one is called whatever its interface is."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tests.support.event_loop import run_coroutine

OPTIONS: dict[str, Any] = {"pool_size": 4, "max_overflow": 0, "pool_timeout": 1.0}
HOLD = 0.02
"""Seconds for which `/hold` keeps its connection."""
LEAKS = ("session", "connection", "raw")
HELD: list[Any] = []
"""What the views below /leak keep alive."""


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "sample_author"
    id: Mapped[int] = mapped_column(primary_key=True)


@dataclass(frozen=True)
class HttpReply:
    status: int
    headers: dict[str, str]
    text: str


@dataclass(frozen=True)
class SampleApp:
    """An application, and the engines that it uses."""

    application: Any
    engines: list[Engine]
    is_asgi: bool = False
    names: tuple[str, ...] = field(default=("default",))

    def get(self, path: str) -> HttpReply:
        if self.is_asgi:
            return run_coroutine(asgi_get(self.application, path))
        return wsgi_get(self.application, path)


def wsgi_get(application: Any, path: str) -> HttpReply:
    """Send one GET to a WSGI application, with little more than what a server does."""
    started: list[Any] = []
    body = application(create_environ(path), lambda *arguments: started.append(arguments))
    try:
        content = b"".join(body)
    finally:
        getattr(body, "close", lambda: None)()
    status, headers, *_ = started[-1]
    return HttpReply(int(status.split()[0]), {name.lower(): value for name, value in headers}, content.decode())


def create_environ(path: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": "localhost",
        "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.version": (1, 0), "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr, "wsgi.multithread": True, "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }  # fmt: skip


async def asgi_get(application: Any, path: str) -> HttpReply:
    """Send one GET to an ASGI application."""
    messages: list[dict[str, Any]] = []

    async def receive_message() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": [],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip
    await application(scope, receive_message, send)
    start = next(message for message in messages if message["type"] == "http.response.start")
    body = b"".join(message.get("body", b"") for message in messages if message["type"] == "http.response.body")
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return HttpReply(start["status"], headers, body.decode())


def session_variables(execute: Callable[[Any], Any], dialect: str) -> dict[str, str]:
    """What decides the meaning of statements in a session."""
    if dialect == "sqlite":
        names = ("journal_mode", "foreign_keys", "busy_timeout", "read_uncommitted", "synchronous")
        return {name: str(execute(text(f"PRAGMA {name}")).scalar_one()) for name in names}
    if dialect == "postgresql":
        return {str(row[0]): str(row[1]) for row in execute(text("SHOW ALL"))}
    changing = ("timestamp", "pseudo_thread_id", "rand_seed", "last_", "statement_id", "gtid", "error_count", "warning")
    rows = execute(text("SHOW SESSION VARIABLES"))
    return {str(name): str(value) for name, value in rows if not str(name).startswith(changing)}
