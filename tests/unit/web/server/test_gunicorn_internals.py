"""What is used of Gunicorn without being documented exists in the installed version, with the parameters expected."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
from gunicorn import sock
from gunicorn.config import Config
from gunicorn.http import message, wsgi
from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.message import Request
from gunicorn.http.unreader import Unreader
from gunicorn.http.wsgi import Response
from gunicorn.workers import base
from gunicorn.workers.base import Worker

from webapp.web.server import gunicorn_worker
from webapp.web.server.request_reader import RequestReader

CALLABLES = {
    (Worker, "init_process"): ["self"],
    (Worker, "load_wsgi"): ["self"],
    (Worker, "run"): ["self"],
    (Worker, "notify"): ["self"],
    (Worker, "handle_exit"): ["self", "sig", "frame"],
    (Worker, "handle_quit"): ["self", "sig", "frame"],
    (Worker, "handle_error"): ["self", "req", "client", "addr", "exc"],
    (Request, "__init__"): ["self", "cfg", "unreader", "peer_addr", "req_number"],
    (Request, "parse_headers"): ["self", "data", "from_trailer"],
    (Request, "should_close"): ["self"],
    (Unreader, "read"): ["self", "size", "read_ahead"],
    (Unreader, "unread"): ["self", "data"],
    (Unreader, "chunk"): ["self", "size_hint"],
    (Unreader, "take_buffered"): ["self"],
    (LengthReader, "__init__"): ["self", "unreader", "length"],
    (ChunkedReader, "__init__"): ["self", "req", "unreader"],
    (wsgi, "create"): ["req", "sock", "client", "server", "cfg", "response_class", "response_args"],
    (Response, "write"): ["self", "arg"],
    (Response, "close"): ["self"],
    (Response, "should_close"): ["self"],
    (Response, "force_close"): ["self"],
    (sock, "ssl_context"): ["conf"],
}
WORKER_ATTRIBUTES = ("alive", "nr", "max_requests", "ppid", "sockets", "wsgi")
REQUEST_ATTRIBUTES = ("headers", "version", "scheme", "body", "_expected_100_continue")
RESPONSE_ATTRIBUTES = ("must_close", "req", "status", "sent", "sock")


@pytest.mark.parametrize(("owner", "name"), CALLABLES, ids=lambda value: getattr(value, "__name__", value))
def test_a_function_has_the_parameters_that_are_passed(owner: Any, name: str) -> None:
    assert list(inspect.signature(getattr(owner, name)).parameters) == CALLABLES[owner, name]


@pytest.mark.parametrize(
    ("module", "names"),
    [(base, WORKER_ATTRIBUTES), (message, REQUEST_ATTRIBUTES), (wsgi, RESPONSE_ATTRIBUTES)],
    ids=["worker", "request", "response"],
)
def test_an_attribute_is_set(module: Any, names: tuple[str, ...]) -> None:
    source = inspect.getsource(module)
    assert [name for name in names if not re.search(rf"self\.{name}\b", source)] == []


def test_the_length_of_a_body_is_known_before_it_is_read() -> None:
    reader = RequestReader(Config(), ("127.0.0.1", 1))
    reader.feed(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n")
    reader.advance()
    assert reader.request.body.reader.length == 7


def test_the_list_in_the_module_is_the_list_that_is_tested() -> None:
    listed = set(re.findall(r"[a-z_0-9]{2,}", " ".join(re.findall(r"`([^`]+)`", (gunicorn_worker.__doc__ or "")))))
    tested = {name for _, name in CALLABLES if not name.startswith("__")}
    assert tested | {*WORKER_ATTRIBUTES, *REQUEST_ATTRIBUTES, *RESPONSE_ATTRIBUTES} <= listed
