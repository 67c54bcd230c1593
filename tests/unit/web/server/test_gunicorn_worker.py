from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest

from webapp.web.server.gunicorn_worker import PoolproofWorker, _http_date, _is_complete_request

HEAD = b"PUT /api/v1/attempts/x/answers/1 HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("data", "is_complete"),
    [
        (HEAD + b"Content-Length: 2\r\n\r\n{}", True),
        (HEAD + b"content-length: 2\r\nAccept: */*\r\n\r\n{}", True),
        (HEAD + b"Content-Length: 3\r\n\r\n{}", False),
        (HEAD + b"Content-Length: 2\r\n", False),
        (HEAD + b"\r\n{}", False),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", False),
        (HEAD + b"Content-Length: 99999\r\n\r\n{}", False),
        (HEAD + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}", False),
    ],
)
def test_only_a_request_that_has_arrived_as_a_whole_is_handled_inline(data: bytes, *, is_complete: bool) -> None:
    assert _is_complete_request(data) is is_complete


def send_raw(connection: Any, body: bytes, *, must_close: bool) -> bool:
    worker: Any = object.__new__(PoolproofWorker)
    worker._keepalive_after = lambda connection, keepalive: keepalive
    response = SimpleNamespace(must_close=must_close, req=SimpleNamespace(should_close=lambda: False))
    start_response: Any = SimpleNamespace(__self__=response)
    return bool(worker.send_raw_response(start_response, connection, "200 OK", b"X-Request-ID: 1\r\n", body))


@pytest.mark.parametrize(("must_close", "persistence"), [(False, b"keep-alive"), (True, b"close")])
def test_a_raw_response_is_a_whole_message(persistence: bytes, *, must_close: bool) -> None:
    ours, clients = socket.socketpair()
    with ours, clients:
        assert send_raw(SimpleNamespace(sock=ours), b"{}", must_close=must_close) is not must_close
        lines = clients.recv(1000).split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 200 OK"
    assert lines[3:] == [b"Connection: " + persistence, b"X-Request-ID: 1", b"", b"{}"]


def test_a_client_that_does_not_read_loses_its_connection() -> None:
    ours, clients = socket.socketpair()
    with ours, clients:
        assert not send_raw(SimpleNamespace(sock=ours), b"x" * 10_000_000, must_close=False)


def test_the_date_is_that_of_http() -> None:
    assert _http_date().endswith(" GMT")
