from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from webapp.web.server import connection
from webapp.web.server.connection import _TimedReader


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, clients = socket.socketpair()
    with ours, clients:
        yield ours, clients


def test_a_client_that_falls_silent_is_given_up(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "READ_TIMEOUT", 0.01)
    reader = _TimedReader(pair[0])
    pair[1].send(b"GET /")
    assert (reader.chunk(), reader.timed_out) == (b"GET /", False)
    assert (reader.chunk(), reader.timed_out) == (b"", True)
    reader.begin_request(has_data=False)
    assert not reader.timed_out


def test_what_arrives_extends_the_time(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "MIN_BYTES_PER_SECOND", 10.0)
    reader = _TimedReader(pair[0])
    before = reader._deadline
    pair[1].send(b"x" * 100)
    reader.chunk()
    assert reader._deadline == before + 10
