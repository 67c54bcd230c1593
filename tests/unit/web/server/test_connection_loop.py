from __future__ import annotations

import logging
import select
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from gunicorn.config import Config

from webapp.web.server import connection_loop
from webapp.web.server.connection import ClientConnection
from webapp.web.server.connection_loop import ConnectionLoop
from webapp.web.server.limits import ClientTimeouts

GET = b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n"


class Owner:
    """Answers each request when it is told to, with its path."""

    def __init__(self) -> None:
        self.handled: list[ClientConnection] = []
        self.refused: list[Exception] = []

    def handle(self, connection: ClientConnection) -> None:
        self.handled.append(connection)

    def refuse(self, connection: ClientConnection, error: Exception) -> None:
        self.refused.append(error)
        connection.output.sendall(b"refused")


class LoopServer:
    def __init__(self, max_connections: int = 100, **timeouts: float) -> None:
        self.owner = Owner()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.loop = ConnectionLoop(Config(), logging.getLogger("loop"), ClientTimeouts(**timeouts), self.owner)
        self.loop.listen([self.listener], max_connections, None)
        self.clients: list[socket.socket] = []

    def connect(self, data: bytes = b"") -> socket.socket:
        client = socket.create_connection(self.listener.getsockname(), timeout=10)
        client.sendall(data)
        self.clients.append(client)
        self.turn()
        return client

    def turn(self, rounds: int = 4) -> None:
        for _ in range(rounds):
            self.loop.run_once(0.01)

    def answer(self, data: bytes | None = None, *, is_reusable: bool = True) -> None:
        connection = self.owner.handled.pop(0)
        connection.output.sendall(connection.reader.request.path.encode() if data is None else data)
        self.loop.release(connection, is_reusable=is_reusable)
        self.turn()

    def close(self) -> None:
        self.loop.close()
        self.listener.close()
        for client in self.clients:
            client.close()


@pytest.fixture
def server() -> Iterator[LoopServer]:
    server = LoopServer()
    yield server
    server.close()


@pytest.fixture
def impatient() -> Iterator[LoopServer]:
    server = LoopServer(head=0.05, body=0.05, keep_alive=0.05)
    yield server
    server.close()


def hung_up(client: socket.socket) -> bool:
    client.settimeout(0.01)
    try:
        return client.recv(1) == b""
    except TimeoutError:
        return False


def test_only_a_whole_request_is_handed_on(server: LoopServer) -> None:
    client = server.connect(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n")
    client.sendall(b"\r\na")
    server.turn()
    assert server.owner.handled == []
    client.sendall(b"b")
    server.turn()
    assert len(server.owner.handled) == 1


def test_requests_sent_together_are_handed_on_one_after_another(server: LoopServer) -> None:
    client = server.connect(GET % 1 + GET % 2 + GET % 3)
    for number in (1, 2, 3):
        assert len(server.owner.handled) == 1
        server.answer()
        assert client.recv(100) == b"/%d" % number
    assert server.owner.handled == []


def test_what_comes_while_a_thread_has_the_request_waits_and_the_loop_does_not_spin(server: LoopServer) -> None:
    client = server.connect(GET % 1)
    client.sendall(GET % 2)
    server.turn()
    started_at = time.monotonic()
    server.loop.run_once(0.2)
    assert time.monotonic() - started_at > 0.1
    server.answer()
    server.answer()
    assert client.recv(100) == b"/1/2"


def test_a_client_that_hangs_up_meanwhile_is_forgotten_when_it_is_answered(server: LoopServer) -> None:
    server.connect(GET % 1).close()
    server.turn()
    assert len(server.loop) == 1, "a thread has it"
    server.answer()
    assert len(server.loop) == 0


def test_who_does_not_read_does_not_hold_the_loop(server: LoopServer) -> None:
    lazy, size = server.connect(GET % 1), 900_000
    lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    server.answer(b"x" * size)
    other = server.connect(GET % 2)
    server.answer()
    assert other.recv(100) == b"/2"
    while size:
        size -= len(lazy.recv(size))
        server.turn(1)
    lazy.sendall(GET % 3)
    server.turn()
    server.answer()
    assert lazy.recv(100) == b"/3"


def test_closing_waits_for_nobody_and_loses_nothing(server: LoopServer) -> None:
    clients = [server.connect(GET % 1 + b"more that is never read") for _ in range(20)]
    started_at = time.monotonic()
    for _ in clients:
        server.answer(is_reusable=False)
    assert time.monotonic() - started_at < 10, "the loop lingered for each of them"
    assert [client.recv(100) for client in clients] == [b"/1"] * 20
    assert all(client.recv(100) == b"" for client in clients)
    for client in clients:
        client.close()
    server.turn()
    assert len(server.loop) == 0


@pytest.mark.parametrize("sent", [b"GET /", b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\nabc"])
def test_half_a_request_is_told_that_its_time_is_over(impatient: LoopServer, sent: bytes) -> None:
    client = impatient.connect(sent)
    while not is_readable(client):
        # A byte now and then gains no time.
        client.sendall(b"x")
        impatient.turn(1)
    assert client.recv(100).startswith(b"HTTP/1.1 408 ")
    assert client.recv(100) == b""


def is_readable(client: socket.socket) -> bool:
    return bool(select.select([client], [], [], 0.01)[0])


def test_who_says_nothing_is_hung_up_on(impatient: LoopServer) -> None:
    silent, kept = impatient.connect(), impatient.connect(GET % 1)
    impatient.answer()
    assert kept.recv(10) == b"/1"
    while len(impatient.loop):
        impatient.turn(1)
    assert hung_up(silent)
    assert hung_up(kept)


def test_what_is_malformed_is_refused_and_the_connection_ends(server: LoopServer) -> None:
    client = server.connect(b"nonsense\r\n\r\n" + GET % 1)
    assert client.recv(100) == b"refused"
    assert client.recv(100) == b""
    assert len(server.owner.refused) == 1
    assert server.owner.handled == []


def test_a_new_client_takes_the_place_of_the_one_that_has_been_silent_for_longest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection_loop, "EXPENDABLE_AFTER", 0.0)
    server = LoopServer(max_connections=3)
    silent = [server.connect(), server.connect()]
    busy = server.connect(GET % 1)
    new = server.connect(GET % 2)
    assert [hung_up(client) for client in (*silent, busy, new)] == [True, False, False, False]
    assert len(server.owner.handled) == 2
    server.close()


def test_where_everybody_is_busy_a_new_client_waits() -> None:
    small = LoopServer(max_connections=1)
    busy, new = small.connect(GET % 1), small.connect(GET % 2)
    assert len(small.owner.handled) == 1
    small.answer(is_reusable=False)
    assert busy.recv(10) == b"/1"
    busy.close()
    while not small.owner.handled:
        small.turn(1)
    small.answer()
    assert new.recv(10) == b"/2"
    small.close()


def test_a_worker_that_stops_answers_what_was_sent_and_waits_for_the_silent_only_a_moment(server: LoopServer) -> None:
    silent, busy = server.connect(), server.connect(GET % 1)
    waiting = socket.create_connection(server.listener.getsockname(), timeout=10)
    waiting.sendall(GET % 2)
    server.clients.append(waiting)
    server.loop.stop()
    server.turn()
    server.answer()
    server.answer()
    assert (busy.recv(10), waiting.recv(10)) == (b"/1", b"/2")
    started_at = time.monotonic()
    while len(server.loop):
        server.turn(1)
        assert time.monotonic() < started_at + 20
    assert hung_up(silent)


def test_it_is_woken_by_a_release_in_another_thread(server: LoopServer) -> None:
    client = server.connect(GET % 1)
    connection = server.owner.handled.pop()
    connection.output.sendall(b"later")
    threading.Timer(0.05, lambda: server.loop.release(connection, is_reusable=True)).start()
    server.loop.run_once(30)
    assert client.recv(10) == b"later"


def test_it_can_be_woken_more_often_than_it_notices(server: LoopServer) -> None:
    for _ in range(100_000):
        server.loop.wake()
    server.turn()
