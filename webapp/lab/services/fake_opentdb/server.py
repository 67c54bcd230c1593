"""The stand-in's HTTP server.

A planned fault affects a call after the server has processed it: the token has moved on, and the response is lost.
"""

from __future__ import annotations

import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from webapp.lab.services.fake_opentdb.contract import ContractOptions, Fault, OpenTdbContract
from webapp.lab.services.fake_opentdb.questions import OpenTdbQuestion

POLL_INTERVAL = 0.005
"""Seconds between two checks whether the server is to stop."""
FaultPlan = Mapping[int, Fault] | Callable[[int, str], Fault | None]
"""Faults by the number of the call, from 0; a callable gets the path, too."""


@dataclass(frozen=True)
class Call:
    """A call that was received: `arrived_at` on the monotonic clock, `code` of the response, even if a fault hid it."""

    number: int
    arrived_at: float
    path: str
    query: dict[str, str]
    status: int
    code: int | None
    client_port: int
    fault: Fault | None


class FakeOpenTdb:
    """The server: `with FakeOpenTdb(make_questions(60, 3)) as server: get(f"{server.address}/api.php?amount=10")`."""

    def __init__(
        self,
        bank: Sequence[OpenTdbQuestion],
        switches: ContractOptions | None = None,
        faults: FaultPlan | None = None,
        port: int = 0,
        seed: int = 0,
    ) -> None:
        """Listen; `port` 0 is a free one."""
        self.switches = switches or ContractOptions()
        self.contract = OpenTdbContract(bank, self.switches, seed)
        self.faults: FaultPlan = faults or {}
        self.calls: list[Call] = []
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.fake = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": POLL_INTERVAL})

    @property
    def address(self) -> str:
        """The server's URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        """Serve until the block ends."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections, and wait for the threads."""
        self.closing.set()
        self._server.shutdown()
        self._server.close_connections()
        self._server.server_close()
        self._thread.join()

    def handle_call(self, path: str, query: dict[str, str], client_port: int) -> tuple[Fault | None, int, bytes]:
        """Answer a call and record it."""
        with self._lock:
            now, number = time.monotonic(), len(self.calls)
            fault = self.faults(number, path) if callable(self.faults) else self.faults.get(number)
            status, body = self.contract.answer(path, query, now, fault)
            code = body.get("response_code")
            self.calls.append(Call(number, now, path, query, status, code, client_port, fault))
        return fault, status, json.dumps(body, ensure_ascii=False).encode()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 128
    fake: FakeOpenTdb

    def __init__(self, *arguments: Any) -> None:
        self.open_sockets: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open_sockets.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open_sockets.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that have closed their connection."""

    def close_connections(self) -> None:
        """End the connections that clients keep open, so that their threads end."""
        for connection in list(self.open_sockets):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: _Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        fake = self.server.fake
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        fault, status, body = fake.handle_call(parts.path, query, self.client_address[1])
        kind = "application/json"
        if fault is Fault.SILENCE:
            fake.closing.wait(fake.switches.hang_seconds)
        if fault in {Fault.SILENCE, Fault.CUT}:
            self.close_connection = True
            return
        if fault is Fault.ERROR:
            status, kind, body = 500, "text/html", b"<h1>Internal Server Error</h1>"
        elif fault is Fault.HTML:
            kind, body = "text/html", b"<!doctype html><title>Just a moment...</title>"
        elif fault is Fault.TRUNCATED:
            body = body[: len(body) // 2]
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault is Fault.HALF:
            self.close_connection = True
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """The log is `FakeOpenTdb.calls`."""
