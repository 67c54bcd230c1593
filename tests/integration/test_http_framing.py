"""Where a request ends, and where the next begins: on new and on kept connections, with both of Gunicorn's parsers.

After each request another follows at once. It is answered exactly when it is certain where it begins.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from typing import Any

import pytest

from tests.support.echo_server import echo_server
from webapp.lab.services.service_process import RunningService

PARSERS = ["python", "fast"]
NEXT = b"GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


def post(*headers: bytes, body: bytes = b"", path: bytes = b"/first", version: bytes = b"1.1") -> bytes:
    return b"\r\n".join([b"POST " + path + b" HTTP/" + version, b"Host: x", *headers, b"", body])


def chunked(body: bytes, *headers: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", *headers, body=body)


def length(value: bytes, body: bytes = b"hello") -> bytes:
    return post(b"Content-Length: " + value, body=body)


UNDERSTOOD = {
    "a length": (length(b"5"), "hello"),
    "a length of nothing": (length(b"0", b""), ""),
    "no length, no body": (post(), ""),
    "leading zeros": (length(b"0005"), "hello"),
    "an empty line before": (b"\r\n" + length(b"5"), "hello"),
    "chunks": (chunked(b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"), "hello"),
    "chunks with extensions": (chunked(b'5;a=b;c="d;\\"e"\r\nhello\r\n0\r\n\r\n'), "hello"),
    "chunks with a trailer": (chunked(b"5\r\nhello\r\n0\r\nX-Checksum: 1\r\n\r\n"), "hello"),
    "chunks with an end in them": (chunked(b"7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n"), "0\r\n\r\n\r\n"),
    "chunks in capitals": (post(b"TRANSFER-ENCODING: CHUNKED", body=b"A\r\n0123456789\r\n0\r\n\r\n"), "0123456789"),
    "a body that looks like a request": (length(b"%d" % len(SMUGGLED), SMUGGLED), SMUGGLED.decode()),
    "a body that nobody reads": (post(b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED, path=b"/unread"), ""),
    "chunks that nobody reads": (
        post(b"Transfer-Encoding: chunked", body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED), path=b"/unread"),
        "",
    ),
    "Expect with the body": (post(b"Expect: 100-Continue", b"Content-Length: 5", body=b"hello"), "hello"),
    "Expect in capitals": (post(b"EXPECT: 100-CONTINUE", b"Content-Length: 5", body=b"hello"), "hello"),
    "HTTP/1.0 that keeps its connection": (
        post(b"Connection: keep-alive", b"Content-Length: 5", body=b"hello", version=b"1.0"),
        "hello",
    ),
}
REFUSED = {
    "a length and chunks": (post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400),
    "chunks and a length": (post(b"Transfer-Encoding: chunked", b"Content-Length: 6", body=b"0\r\n\r\nX"), 400),
    "two lengths": (post(b"Content-Length: 5", b"Content-Length: 6", body=b"hello"), 400),
    "the same length twice": (post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"), 400),
    "a list of lengths": (length(b"5, 5"), 400),
    "a signed length": (length(b"+5"), 400),
    "a negative length": (length(b"-5"), 400),
    "a length with an underscore": (length(b"0_5"), 400),
    "a length in hexadecimal": (length(b"0x5"), 400),
    "an empty length": (length(b""), 400),
    "a space before the colon": (post(b"Content-Length : 5", body=b"hello"), 400),
    "a folded header": (post(b"Transfer-Encoding:\r\n chunked", body=b"0\r\n\r\n"), 400),
    "a folded length": (post(b"Content-Length: 5\r\n 5", body=b"hello"), 400),
    "an unknown coding": (post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), 501),
    "a coding after chunks": (post(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"), 400),
    "chunks twice": (post(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400),
    "a coding without chunks": (post(b"Transfer-Encoding: gzip", body=b"hello"), 400),
    "chunks in HTTP/1.0": (post(b"Transfer-Encoding: chunked", body=b"0\r\n\r\n", version=b"1.0"), 400),
    "a chunk's size with a sign": (chunked(b"+5\r\nhello\r\n0\r\n\r\n"), 400),
    "a chunk's size with a prefix": (chunked(b"0x5\r\nhello\r\n0\r\n\r\n"), 400),
    "a chunk's size with an underscore": (chunked(b"0_5\r\nhello\r\n0\r\n\r\n"), 400),
    "a chunk that is longer than it says": (chunked(b"4\r\nhello\r\n0\r\n\r\n"), 400),
    "a chunk without a size": (chunked(b"\r\nhello\r\n0\r\n\r\n"), 400),
    "a trailer that is a length": (chunked(b"5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n"), 400),
    "bare line feeds": (b"POST /first HTTP/1.1\nHost: x\nContent-Length: 5\n\nhello", 400),
    "a bare line feed in a header": (post(b"A: b\nContent-Length: 5", body=b"hello"), 400),
    "a zero byte in a header": (post(b"A: b\0c"), 400),
    "two hosts": (post(b"Host: y"), 400),
    "no host": (b"GET /first HTTP/1.1\r\n\r\n", 400),
    "another expectation": (post(b"Expect: 200-ok", b"Content-Length: 5", body=b"hello"), 417),
    "another protocol": (b"GET /first HTTP/2.0\r\nHost: x\r\n\r\n", 400),
}


@pytest.fixture(scope="module", params=PARSERS)
def echo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    if request.param == "fast" and find_spec("gunicorn_h1c") is None:
        pytest.skip("gunicorn_h1c is not installed")
    with echo_server(tmp_path_factory.mktemp("framing"), "--http-parser", request.param) as server:
        yield server


@pytest.fixture(params=["new", "kept"])
def connection(request: pytest.FixtureRequest, echo: RunningService) -> Iterator[socket.socket]:
    """A connection, on which a request has been answered already if it is a kept one."""
    with closing(socket.create_connection(("127.0.0.1", echo.port), timeout=20)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if request.param == "kept":
            connection.sendall(b"GET /before HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"/before" in connection.recv(65536)
        yield connection


def all_received(connection: socket.socket) -> bytes:
    try:
        return b"".join(iter(lambda: connection.recv(65536), b""))
    except ConnectionResetError:
        return b""


def statuses(received: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", received)]


def understood(received: bytes) -> list[dict[str, Any]]:
    return [json.loads(found) for found in re.findall(rb'\{"method".*?\}', received)]


@pytest.mark.parametrize("case", UNDERSTOOD)
@pytest.mark.parametrize("pieces", [1, 7])
def test_a_request_is_understood_and_so_is_the_next(connection: socket.socket, case: str, pieces: int) -> None:
    sent, body = UNDERSTOOD[case]
    size = len(sent + NEXT) // pieces + 1
    for start in range(0, len(sent + NEXT), size):
        connection.sendall((sent + NEXT)[start : start + size])
    received = all_received(connection)
    assert statuses(received.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")) == [200, 200]
    first, following = understood(received)
    assert (first["body"], first["method"]) == (body, "POST")
    assert (following["path"], following["body"]) == ("/next", "")


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_ambiguous_is_refused_and_ends_the_connection(connection: socket.socket, case: str) -> None:
    sent, status = REFUSED[case]
    connection.sendall(sent + NEXT)
    received = all_received(connection)
    # gunicorn_h1c before 0.6.12 does not tell a coding that it does not know from a malformed one.
    assert statuses(received) in ([status], [400] if status == 501 else [])
    assert understood(received) == []


def test_who_asks_whether_to_send_the_body_is_told_to(connection: socket.socket) -> None:
    connection.sendall(post(b"Expect: 100-continue", b"Content-Length: 5"))
    assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(b"hello" + NEXT)
    assert [one["body"] for one in understood(all_received(connection))] == ["hello", ""]


def test_who_asks_with_a_large_body_is_told_when_it_is_read(connection: socket.socket) -> None:
    connection.sendall(post(b"Expect: 100-continue", b"Content-Length: 100000"))
    assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(b"x" * 100_000)
    (answer,) = understood(all_received(connection))
    assert answer["length"] == 100_000


def test_who_asks_with_a_large_body_that_nobody_reads_is_not_told(connection: socket.socket) -> None:
    connection.sendall(post(b"Expect: 100-continue", b"Content-Length: 100000", path=b"/unread"))
    received = all_received(connection)
    assert statuses(received) == [200]
    assert b"Connection: close" in received


def test_a_large_body_is_never_the_next_request(connection: socket.socket) -> None:
    connection.sendall(post(b"Content-Length: 100000", path=b"/unread", body=SMUGGLED))
    assert [one["path"] for one in understood(all_received(connection))] == ["/unread"]


def test_http_1_0_ends_after_one_answer_and_knows_no_100(connection: socket.socket) -> None:
    connection.sendall(post(b"Expect: 100-continue", b"Content-Length: 5", body=b"hello", version=b"1.0") + NEXT)
    received = all_received(connection)
    assert statuses(received) == [200]
    assert [one["path"] for one in understood(received)] == ["/first"]


def test_the_answer_to_head_has_no_body(connection: socket.socket) -> None:
    connection.sendall(b"HEAD /first HTTP/1.1\r\nHost: x\r\n\r\n" + NEXT)
    received = all_received(connection)
    assert statuses(received) == [200, 200]
    assert [one["path"] for one in understood(received)] == ["/next"]
    assert re.match(rb".*?Content-Length: [1-9]\d+\r\n\r\nHTTP/1\.1 200 OK", received, re.DOTALL)


def test_many_requests_at_once_are_answered_in_their_order(connection: socket.socket) -> None:
    many = [post(b"Content-Length: 5", body=b"%05d" % number) for number in range(50)]
    connection.sendall(b"".join(many) + NEXT)
    received = understood(all_received(connection))
    assert [one["body"] for one in received] == [f"{number:05}" for number in range(50)] + [""]
