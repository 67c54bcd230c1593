"""A paged source over real HTTP: pages by number, offset, cursor, Link header, or URL in the body."""

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
    """A request that was received."""

    query: dict[str, str]
    headers: Mapping[str, str]


@dataclass
class FakePagedApi:
    """Serves `records` in pages; the other fields vary how."""

    records: list[Any]
    kind: str = "page"
    max_page_size: int = 1000
    """Most records in a page, whatever limit is requested."""
    total_error: int = 0
    """By how much the stated total is wrong."""
    missing_after_end: bool = False
    """Answer 404 instead of an empty page after the last one."""
    bare_list: bool = False
    """Answer with a list of records only, without an object around it."""
    secret: str | None = None
    """Required value of the header X-Key."""
    faults: dict[int, str] = field(default_factory=dict)
    """By the number of the request: error, html, half, limited."""
    next_url: Callable[[str], str] = lambda address: address
    requests: list[RecordedRequest] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Serve on a free port until the block ends."""
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fake._answer(self)

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
        page = self.records[start : start + size]
        has_next = start + size < len(self.records)
        status = 404 if self.missing_after_end and not page and start else 200
        next_url = self.next_url(f"{self.address}?limit={size}&at={start + size}&x=a%20b")
        headers = {}
        meta: dict[str, Any] = {
            "total": max(0, len(self.records) + self.total_error),
            "pages": -(-len(self.records) // size),
            "next": str(start + size) if has_next else None,
            "href": next_url if has_next else None,
        }
        if self.kind == "link":
            headers["Link"] = '<http://elsewhere/first>; rel="first"' + (
                f', <{next_url}>; rel="next"' if has_next else ""
            )
        return status, headers, page if self.bare_list else {"meta": meta, "data": {"results": page}}

    def _start(self, query: dict[str, str], size: int) -> int:
        if self.kind == "page":
            return (int(query.get("page", "1")) - 1) * size
        return int(query.get("at", query.get("cursor", query.get("offset", "0"))))
