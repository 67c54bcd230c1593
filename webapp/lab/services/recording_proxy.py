"""A proxy in front of an HTTP service that records what each connection of its clients does, and when.

It forwards bytes as they come and changes none of them. Its event loop runs in a thread of its own, so that a test can
drive a browser meanwhile.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from webapp.lab.services.processes import HOST

CHUNK_SIZE = 65536
"""Bytes."""
LISTEN_BACKLOG = 1024
HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class RecordedRequest:
    """A request: when the last byte of its head came, as a moment on the monotonic clock."""

    method: str
    path: str
    received_at: float


@dataclass
class RecordedConnection:
    """What a client did with one connection; moments are on the monotonic clock."""

    opened_at: float
    first_byte_at: float | None = None
    """None: the client has not sent anything."""
    requests: list[RecordedRequest] = field(default_factory=list)
    first_reply_at: float | None = None
    """When the service's first byte came."""
    body_bytes_left: int = 0
    """Bytes of the last request's body that have not come."""
    closed_at: float | None = None
    """When either side closed it; None: it is still open."""

    @property
    def idle_before_use(self) -> float | None:
        """Seconds from the connect to the first byte; None where none came."""
        return None if self.first_byte_at is None else self.first_byte_at - self.opened_at


class RequestScanner:
    """Finds the requests in the bytes that a client sends; bodies are skipped by their Content-Length."""

    def __init__(self) -> None:
        """Expect the first byte of a head."""
        self._received = bytearray()
        self.body_left = 0
        """Bytes of the present request's body that have not come."""

    def feed(self, chunk: bytes) -> Iterator[tuple[str, str]]:
        """Take the next bytes; yield method and path of each request whose head is complete with them."""
        self._received += chunk
        while self._received:
            skipped = min(self.body_left, len(self._received))
            del self._received[:skipped]
            self.body_left -= skipped
            head_ends = self._received.find(HEAD_END)
            if self.body_left or head_ends < 0:
                return
            head = self._received[:head_ends].decode("latin-1")
            del self._received[: head_ends + len(HEAD_END)]
            method, path, *_ = head.split(" ", 2)
            self.body_left = _content_length(head)
            yield method, path


class RecordingProxy:
    """Listens on a port of this machine; `record` starts it and closes it."""

    def __init__(self, target_port: int, reply_delay: float) -> None:
        """Forward to `target_port`; the first reply on each connection comes `reply_delay` seconds later."""
        self._target_port = target_port
        self._reply_delay = reply_delay
        self._connections: list[RecordedConnection] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    def connections(self) -> list[RecordedConnection]:
        """Return what has been recorded until now, in the order of the connects."""
        return sorted(self._connections, key=lambda connection: connection.opened_at)

    def clear(self) -> None:
        """Forget the connections that have been recorded."""
        self._connections = []

    async def _serve(self, is_ready: threading.Event, is_over: asyncio.Event) -> None:
        server = await asyncio.start_server(self._handle, HOST, 0, backlog=LISTEN_BACKLOG)
        self.port = server.sockets[0].getsockname()[1]
        is_ready.set()
        await is_over.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # What was aborted is closed in the loop's next round.
        await asyncio.sleep(0)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = RecordedConnection(time.monotonic())
        self._connections.append(connection)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a server's handler is a task
        self._tasks.add(task)
        try:
            await self._forward_both(connection, reader, writer)
        except (OSError, asyncio.CancelledError):
            # The service refuses connections, one side has reset its own, or the recording is over: in each case the
            # client sees its connection end.
            pass
        finally:
            connection.closed_at = time.monotonic()
            writer.transport.abort()
            self._tasks.discard(task)

    async def _forward_both(
        self, connection: RecordedConnection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        server_reader, server_writer = await asyncio.open_connection(HOST, self._target_port)
        directions = [
            asyncio.create_task(_forward_requests(connection, reader, server_writer)),
            asyncio.create_task(_forward_replies(connection, server_reader, writer, self._reply_delay)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
            server_writer.transport.abort()


@contextmanager
def record(target_port: int, reply_delay: float = 0.0) -> Iterator[RecordingProxy]:
    """Record the connections of a service's clients until the block ends.

    With `reply_delay` the first reply on each connection comes so many seconds later, as from a server far away.
    """
    proxy = RecordingProxy(target_port, reply_delay)
    loop = asyncio.new_event_loop()
    is_ready, is_over = threading.Event(), asyncio.Event()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(proxy._serve(is_ready, is_over))  # noqa: SLF001 - a part of this module

    thread = threading.Thread(target=run, name="recording-proxy")
    thread.start()
    is_ready.wait()
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(is_over.set)
        thread.join()


async def _forward_requests(
    connection: RecordedConnection, source: asyncio.StreamReader, target: asyncio.StreamWriter
) -> None:
    scanner = RequestScanner()
    with suppress(OSError):
        while chunk := await source.read(CHUNK_SIZE):
            now = time.monotonic()
            if connection.first_byte_at is None:
                connection.first_byte_at = now
            connection.requests += [RecordedRequest(method, path, now) for method, path in scanner.feed(chunk)]
            connection.body_bytes_left = scanner.body_left
            target.write(chunk)
            await target.drain()


async def _forward_replies(
    connection: RecordedConnection, source: asyncio.StreamReader, target: asyncio.StreamWriter, delay: float
) -> None:
    with suppress(OSError):
        while chunk := await source.read(CHUNK_SIZE):
            if connection.first_reply_at is None:
                await asyncio.sleep(delay)
                connection.first_reply_at = time.monotonic()
            target.write(chunk)
            await target.drain()


def _content_length(head: str) -> int:
    for line in head.split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-length":
            return int(value)
    return 0
