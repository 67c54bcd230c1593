"""The connections of one browser: a speculative one, parallel files, keep-alive, perhaps on a slow line."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from socket import SO_RCVBUF, SOL_SOCKET

from poolproof.lab.loadgen.http_client import HttpClient, HttpResponse, InvalidResponseError
from webapp.lab.loadgen.browser_model import HEADERS, MAX_CONNECTIONS, BrowserTraits, Ending, SlowLine, files_of

CHUNK_SIZE = 512
"""Bytes that a slow line takes at once."""
SLOW_RECEIVE_BUFFER = 4096
"""Bytes that the system takes for a slow line before it tells the server to wait."""


class SlowHttpClient(HttpClient):
    """A connection over a slow line."""

    def __init__(self, host: str, port: int, headers: str, line: SlowLine) -> None:
        """Use this line."""
        super().__init__(host, port, headers)
        self._line = line

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the system buffer little (asyncio calls this)."""
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        connection.setsockopt(SOL_SOCKET, SO_RCVBUF, SLOW_RECEIVE_BUFFER)

    def data_received(self, data: bytes) -> None:
        """Take bytes, and no more of them until the line would have carried these (asyncio calls this)."""
        transport = self._transport
        if transport is not None:
            transport.pause_reading()
            delay = len(data) / self._line.bytes_per_second
            asyncio.get_running_loop().call_later(delay, self._deliver, transport, data)

    async def _write(self, data: bytes) -> None:
        await asyncio.sleep(self._line.latency)
        for start in range(0, len(data), CHUNK_SIZE):
            chunk = data[start : start + CHUNK_SIZE]
            await super()._write(chunk)
            await asyncio.sleep(len(chunk) / self._line.bytes_per_second)

    def _deliver(self, transport: asyncio.Transport, data: bytes) -> None:
        if not transport.is_closing():
            transport.resume_reading()
        super().data_received(data)


@dataclass(frozen=True)
class LoadedFile:
    """A file of a page: its status or the error's name, and moments on the monotonic clock."""

    result: str
    wanted_at: float
    ended_at: float


class Browser:
    """Requests over the connections that a browser would open; one of them at a time but for the files of a page."""

    def __init__(self, host: str, port: int, traits: BrowserTraits) -> None:
        """Open nothing yet."""
        self._host, self._port = host, port
        self._traits = traits
        self._idle: list[HttpClient] = []
        """Open connections without a request, the one used last at the end."""
        self._clients: list[HttpClient] = []
        self._speculative: list[asyncio.Task[None]] = []

    async def request(self, method: str, path: str, body: object | None = None) -> HttpResponse:
        """Send a request on the connection that was used last, or else on a new one.

        Raises:
            OSError: when the server cannot be reached, or takes longer than a minute.
            InvalidResponseError: when it hangs up before the response is complete.
        """
        is_first = not self._clients
        client, was_used = self._take_connection()
        if is_first:
            self._speculate()
        try:
            response = await client.request(method, path, body)
        except (OSError, InvalidResponseError) as error:
            client.close()
            if not was_used or isinstance(error, TimeoutError):
                raise
            # The server may close a kept connection just when the request is on its way: browsers send it again.
            client = self._new_connection()
            response = await client.request(method, path, body)
        self._idle.append(client)
        return response

    @property
    def ending(self) -> Ending:
        """How the visit ends."""
        return self._traits.ending

    async def load_files(self, page: HttpResponse) -> list[LoadedFile]:
        """Load the files that a page names, all at once."""
        await asyncio.sleep(self._traits.parse_delay)
        if self._traits.has_cached_files:
            return []
        limit = asyncio.Semaphore(MAX_CONNECTIONS)

        async def load(path: str) -> LoadedFile:
            started_at = time.monotonic()
            async with limit:
                try:
                    result = str((await self.request("GET", path)).status)
                except (OSError, InvalidResponseError) as error:
                    result = type(error).__name__
                return LoadedFile(result, started_at, time.monotonic())

        return await asyncio.gather(*map(load, files_of(page.body.decode(errors="replace"))))

    async def vanish(self, method: str, path: str, body: object) -> None:
        """Send half a request, and nothing ever after."""
        client, _ = self._take_connection()
        with suppress(OSError):
            await client.send_half(method, path, body)

    def close(self) -> None:
        """Hang up."""
        for opening in self._speculative:
            opening.cancel()
        for client in self._clients:
            client.close()

    def _speculate(self) -> None:
        """Open a second connection, which the files may use, and with some users a third, which nothing uses."""
        self._speculative = [asyncio.create_task(self._open_second())]
        if self._traits.has_spare_connection:
            self._speculative.append(asyncio.create_task(_open(self._new_connection())))

    async def _open_second(self) -> None:
        client = self._new_connection()
        await _open(client)
        # First in the list is last to be used: browsers prefer connections that have proved good.
        self._idle.insert(0, client)

    def _take_connection(self) -> tuple[HttpClient, bool]:
        """Return a connection, and whether it had been open before."""
        while self._idle:
            client = self._idle.pop()
            if client.is_open:
                return client, True
        return self._new_connection(), False

    def _new_connection(self) -> HttpClient:
        line = self._traits.line
        if line is None:
            client = HttpClient(self._host, self._port, HEADERS)
        else:
            client = SlowHttpClient(self._host, self._port, HEADERS, line)
        self._clients.append(client)
        return client


async def _open(client: HttpClient) -> None:
    # A speculative connection that fails is not missed before it is needed.
    with suppress(OSError):
        await client.connect()
