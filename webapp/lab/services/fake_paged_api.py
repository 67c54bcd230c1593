"""A source with pages, over real HTTP: by number, offset, cursor, Link header or address in the body."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class RecordedRequest:
    """A call as it came in."""

    query: dict[str, str]
    headers: Mapping[str, str]


@dataclass
class FakePagedApi:
    """Serves `records` in pages; what it does otherwise is said by its fields."""

    records: list[Any]
    kind: str = "page"
    max_page_size: int = 1000
    """Records in a page, whatever was asked for."""
    total_error: int = 0
    missing_after_end: bool = False
    bare_list: bool = False
    secret: str | None = None
    faults: dict[int, str] = field(default_factory=dict)
    """By the number of the call: error, html, half, limited."""
    next_url: Callable[[str], str] = lambda address: address
    requests: list[RecordedRequest] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Serve on a free port until the block ends."""
        paged = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                paged._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.address = f"{self.origin}/questions"
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.005})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving, and wait for the thread."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        query = dict(parse_qsl(urlsplit(handler.path).query))
        with self._lock:
            fault = self.faults.get(len(self.requests))
            self.requests.append(RecordedRequest(query, dict(handler.headers)))
        status, headers, value = self._page(query)
        if self.secret is not None and handler.headers.get("X-Key") != self.secret:
            status, value = 401, {}
        body = json.dumps(value).encode()
        status, body = {
            "error": (500, body),
            "html": (200, b"<html>"),
            "half": (200, body[: len(body) // 2]),
            "limited": (429, b""),
        }.get(fault or "", (status, body))
        handler.send_response(status)
        for name, text in headers.items():
            handler.send_header(name, text)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _page(self, query: dict[str, str]) -> tuple[int, dict[str, str], Any]:
        size = min(self.max_page_size, int(query.get("limit", "1000")))
        start = self._start(query, size)
        found = self.records[start : start + size]
        more = start + size < len(self.records)
        status = 404 if self.missing_after_end and not found and start else 200
        onward = self.next_url(f"{self.address}?limit={size}&at={start + size}&x=a%20b")
        headers = {}
        meta: dict[str, Any] = {
            "total": max(0, len(self.records) + self.total_error),
            "pages": -(-len(self.records) // size),
            "next": str(start + size) if more else None,
            "href": onward if more else None,
        }
        if self.kind == "link":
            headers["Link"] = '<http://elsewhere/first>; rel="first"' + (f', <{onward}>; rel="next"' if more else "")
        return status, headers, found if self.bare_list else {"meta": meta, "data": {"results": found}}

    def _start(self, query: dict[str, str], size: int) -> int:
        if self.kind == "page":
            return (int(query.get("page", "1")) - 1) * size
        return int(query.get("at", query.get("cursor", query.get("offset", "0"))))
