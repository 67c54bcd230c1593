from __future__ import annotations

import errno
import logging
import selectors
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from webapp.web.server import acceptor
from webapp.web.server.acceptor import ACCEPTS_PER_EVENT, Acceptor


class FullListener:
    """A listening socket of a process without free file descriptors."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.is_full = False

    def accept(self) -> Any:
        if self.is_full:
            raise OSError(errno.EMFILE, "Too many open files")
        return self.listener.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.listener, name)


class Listening:
    def __init__(self) -> None:
        self.stack = ExitStack()
        self.selector = self.stack.enter_context(selectors.DefaultSelector())
        self.listener = FullListener(self.stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64)))
        self.clients: list[socket.socket] = []
        self.places = 100
        self.acceptor = Acceptor(
            self.selector, [self.listener], logging.getLogger("listening"), self._on_client, lambda: self.places > 0
        )

    def _on_client(self, client: socket.socket, address: Any, server: Any) -> None:
        assert server == self.listener.getsockname()
        self.places -= 1
        self.clients.append(self.stack.enter_context(client))

    def connect(self, number: int = 1) -> None:
        for _ in range(number):
            self.stack.enter_context(socket.create_connection(self.listener.getsockname()))

    def turn(self) -> int:
        """One round of the main loop; the number of events."""
        events = self.selector.select(0)
        for key, mask in events:
            key.data(mask)
        self.acceptor.resume_if_due()
        return len(events)


@pytest.fixture
def listening() -> Iterator[Listening]:
    listening = Listening()
    with listening.stack:
        yield listening


def test_clients_are_accepted_some_at_a_time_and_do_not_block(listening: Listening) -> None:
    listening.acceptor.start()
    listening.connect(ACCEPTS_PER_EVENT + 1)
    listening.turn()
    assert len(listening.clients) == ACCEPTS_PER_EVENT
    listening.turn()
    assert len(listening.clients) == ACCEPTS_PER_EVENT + 1
    assert not listening.clients[0].getblocking()


def test_without_free_files_it_pauses_and_says_so_once(listening: Listening, caplog: pytest.LogCaptureFixture) -> None:
    listening.acceptor.start()
    listening.connect()
    listening.listener.is_full = True
    for _ in range(3):
        listening.turn()
        assert listening.turn() == 0, "the main loop does not spin"
        listening.acceptor.connection_closed()
        listening.turn()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "limit of open files" in caplog.text
    listening.listener.is_full = False
    listening.acceptor.connection_closed()
    listening.turn()
    listening.turn()
    assert len(listening.clients) == 1


def test_a_pause_ends_by_itself(listening: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptor, "PAUSE_DURATION", 0.0)
    listening.acceptor.start()
    listening.connect()
    listening.listener.is_full = True
    listening.turn()
    assert listening.acceptor.seconds_left(5) <= 5
    listening.listener.is_full = False
    listening.turn()
    assert len(listening.clients) == 1


def test_while_there_is_no_room_clients_wait_in_the_kernel(listening: Listening) -> None:
    listening.acceptor.start()
    listening.places = 1
    listening.connect(2)
    listening.turn()
    assert listening.turn() == 0, "nobody is accepted"
    assert len(listening.clients) == 1
    assert 0 < listening.acceptor.seconds_left(5) < 5
    listening.places = 1
    listening.acceptor.connection_closed()
    listening.turn()
    listening.turn()
    assert len(listening.clients) == 2


def test_at_the_end_those_who_came_before_are_accepted_and_nobody_else(listening: Listening) -> None:
    listening.acceptor.start()
    listening.connect(20)
    listening.acceptor.stop()
    assert len(listening.clients) == 20
    listening.connect()
    listening.acceptor.connection_closed()
    assert listening.turn() == 0
    assert listening.acceptor.seconds_left(5) == 5
