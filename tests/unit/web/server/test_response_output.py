from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from webapp.web.server import response_output
from webapp.web.server.limits import MAX_UNSENT_BYTES
from webapp.web.server.response_output import SEND_BYTES, ResponseOutput

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, clients = socket.socketpair()
    ours.setblocking(False)
    clients.settimeout(10)
    with ours, clients:
        yield ours, clients


def received(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += client.recv(size - len(data))
    return data


def test_a_response_is_sent_in_one_piece(pair: Pair) -> None:
    output = ResponseOutput(pair[0])
    output.sendall(b"head")
    output.send(b"body")
    pair[1].setblocking(False)
    with pytest.raises(BlockingIOError):
        pair[1].recv(1)
    assert not output.has_sent
    assert output.try_flush()
    assert (pair[1].recv(100), output.has_sent) == (b"headbody", True)


def test_what_a_client_does_not_read_stays_and_nobody_waits(pair: Pair) -> None:
    output, size = ResponseOutput(pair[0]), 3 * SEND_BYTES
    output.sendall(b"x" * size)
    output.flush()
    assert not output.try_flush()
    reader = threading.Thread(target=received, args=(pair[1], size))
    reader.start()
    while not output.try_flush():
        pass
    reader.join()


def test_a_response_too_large_for_memory_waits_for_its_client(pair: Pair) -> None:
    output, size = ResponseOutput(pair[0]), 4 * MAX_UNSENT_BYTES
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(received(pair[1], size)))
    reader.start()
    for _ in range(4):
        output.sendall(b"x" * MAX_UNSENT_BYTES)
    while not output.try_flush():
        pass
    reader.join()
    assert found == [b"x" * size]


def test_but_not_for_one_that_never_reads(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_output, "WRITE_TIMEOUT", 0.01)
    with pytest.raises(TimeoutError):
        ResponseOutput(pair[0]).sendall(b"x" * (3 * MAX_UNSENT_BYTES))


def test_what_has_not_left_can_be_replaced(pair: Pair) -> None:
    output = ResponseOutput(pair[0])
    output.sendall(b"wrong")
    output.discard()
    output.sendall(b"right")
    output.flush()
    assert pair[1].recv(100) == b"right"
    output.begin_response()
    assert not output.has_sent


def test_it_stands_in_for_the_socket(pair: Pair) -> None:
    assert ResponseOutput(pair[0]).getsockname() == pair[0].getsockname()
    assert ResponseOutput(pair[0]).gettimeout() == 0
