"""What is used of Gunicorn without being documented exists in the installed version, with the parameters expected."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
from gunicorn.http.unreader import SocketUnreader
from gunicorn.http.wsgi import Response
from gunicorn.workers import gthread
from gunicorn.workers.gthread import TConn, ThreadWorker

from webapp.web.server import gunicorn_worker

METHODS = {
    (ThreadWorker, "load_wsgi"): ["self"],
    (ThreadWorker, "_keepalive_after"): ["self", "conn", "keepalive"],
    (ThreadWorker, "handle"): ["self", "conn"],
    (ThreadWorker, "handle_request"): ["self", "req", "conn"],
    (ThreadWorker, "handle_error"): ["self", "req", "client", "addr", "exc"],
    (ThreadWorker, "accept"): ["self", "listener"],
    (ThreadWorker, "get_thread_pool"): ["self"],
    (ThreadWorker, "enqueue_req"): ["self", "conn"],
    (ThreadWorker, "finish_request"): ["self", "conn", "fs"],
    (ThreadWorker, "wait_for_and_dispatch_events"): ["self", "timeout"],
    (ThreadWorker, "on_client_socket_readable"): ["self", "conn", "client"],
    (TConn, "__init__"): ["self", "cfg", "sock", "client", "server"],
    (TConn, "init"): ["self"],
    (SocketUnreader, "chunk"): ["self", "size_hint"],
    (Response, "write"): ["self", "arg"],
    (Response, "close"): ["self"],
    (Response, "should_close"): ["self"],
}
WORKER_ATTRIBUTES = ("wsgi", "tpool", "poller", "nr_conns", "method_queue", "keepalived_conns")
CONNECTION_ATTRIBUTES = ("sock", "server", "parser", "is_http2")


@pytest.mark.parametrize(("owner", "name"), METHODS, ids=lambda value: getattr(value, "__name__", value))
def test_a_method_has_the_parameters_that_are_passed(owner: Any, name: str) -> None:
    assert list(inspect.signature(getattr(owner, name)).parameters) == METHODS[owner, name]


@pytest.mark.parametrize("name", WORKER_ATTRIBUTES)
def test_the_worker_has_the_attribute(name: str) -> None:
    assert re.search(rf"self\.{name}\b", inspect.getsource(gthread) + inspect.getsource(ThreadWorker.__mro__[1]))


@pytest.mark.parametrize("name", CONNECTION_ATTRIBUTES)
def test_a_connection_has_the_attribute(name: str) -> None:
    assert re.search(rf"self\.{name} = ", inspect.getsource(TConn))


def test_the_list_in_the_module_is_the_list_that_is_tested() -> None:
    listed = set(re.findall(r"[a-z_0-9]{2,}", " ".join(re.findall(r"`([^`]+)`", (gunicorn_worker.__doc__ or "")))))
    tested = {name for _, name in METHODS if not name.startswith("__")} - {"init"}
    assert tested | {*WORKER_ATTRIBUTES, *CONNECTION_ATTRIBUTES} <= listed
