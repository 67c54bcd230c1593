from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import pytest
from gunicorn.config import Config

from webapp.web.server.connection import ClientConnection, Phase
from webapp.web.server.request_reader import ReadProgress

HEAD = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"


@pytest.fixture
def pair() -> Iterator[tuple[ClientConnection, socket.socket]]:
    ours, clients = socket.socketpair()
    ours.setblocking(False)
    clients.settimeout(10)
    with ours, clients:
        yield ClientConnection(ours, ("127.0.0.1", 1), ("127.0.0.1", 2), Config()), clients


@pytest.fixture
def connection(pair: tuple[ClientConnection, socket.socket]) -> ClientConnection:
    return pair[0]


@pytest.fixture
def client(pair: tuple[ClientConnection, socket.socket]) -> socket.socket:
    return pair[1]


def upload(connection: ClientConnection, client: socket.socket, more: bytes, timeout: float) -> None:
    client.sendall(HEAD + more + b"\r\n")
    connection.reader.feed(connection.receive_available() or b"")
    assert connection.reader.advance() is ReadProgress.LARGE
    connection.stream_body(timeout)


def test_nothing_is_something_else_than_the_end(connection: ClientConnection, client: socket.socket) -> None:
    assert connection.receive_available() is None
    client.sendall(b"abc")
    assert connection.receive_available() == b"abc"
    client.close()
    assert connection.receive_available() == b""
    assert connection.phase is Phase.NEW


def test_a_large_body_is_read_by_who_wants_it(connection: ClientConnection, client: socket.socket) -> None:
    upload(connection, client, b"", 10)
    client.sendall(b"x" * 100_000)
    assert connection.reader.request.body.read() == b"x" * 100_000
    assert connection.is_streamed


def test_its_time_is_one_for_all_of_it(connection: ClientConnection, client: socket.socket) -> None:
    upload(connection, client, b"", 0.05)
    client.sendall(b"x" * 10)
    assert connection.reader.request.body.read() == b"x" * 10


def test_who_waits_to_be_told_to_send_it_is_told_when_it_is_wanted(
    connection: ClientConnection, client: socket.socket
) -> None:
    upload(connection, client, b"Expect: 100-continue\r\n", 0.05)
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.recv(1)
    connection.reader.request.body.read()
    assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert not connection.output.has_sent, "the response is another thing"


def test_the_end_is_told_and_what_comes_is_still_received(connection: ClientConnection, client: socket.socket) -> None:
    connection.end_sending()
    assert client.recv(1) == b""
    client.sendall(b"late")
    assert connection.receive_available() == b"late"


def test_what_tls_has_decrypted_already_is_received_at_once() -> None:
    class Decrypted(ssl.SSLSocket):
        parts: tuple[bytes, ...] = (b"ab", b"cd", b"")

        def recv(self, *_: int) -> bytes:
            first, *rest = self.parts
            self.parts = tuple(rest)
            return first

        def pending(self) -> int:
            return len(self.parts[0])

    tls = Decrypted.__new__(Decrypted)
    assert ClientConnection(tls, ("127.0.0.1", 1), ("127.0.0.1", 2), Config()).receive_available() == b"abcd"
