"""An application without a framework, for the lab's loads: `python stdlib_app.py URL PORT POOL_SIZE`."""

from __future__ import annotations

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from sqlalchemy import Engine, create_engine, text

SECRET = "swordfish"
HOLD = 0.02


class Shop(BaseHTTPRequestHandler):
    """Signs in with a form and a cookie, sells items, and holds a connection for twenty milliseconds in each."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    engine: ClassVar[Engine]
    orders: ClassVar[dict[int, str]] = {}

    def do_GET(self) -> None:
        with self.engine.connect() as connection:
            connection.execute(text("SELECT 1")).scalar_one()
            time.sleep(HOLD)
        if self.path == "/":
            self.reply(200, f'<input name="csrf" value="{SECRET}">')
        elif self.path.startswith("/items?") and self.headers["X-Client"] == "lab":
            self.reply(200, json.dumps({"items": [{"id": 7}]}))
        elif (number := self.path.removeprefix("/orders/")).isdecimal() and int(number) in self.orders:
            self.reply(200, self.orders[int(number)])
        else:
            self.reply(404, "no such page")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/sign-in":
            right = body == f"name=ada&csrf={SECRET}"
            self.reply(303 if right else 403, "", {"Set-Cookie": "session=abc; Path=/; HttpOnly", "Location": "/"})
        elif "session=abc" not in self.headers.get("Cookie", ""):
            self.reply(401, "")
        else:
            number = len(self.orders) + 1
            self.orders[number] = body
            self.reply(201, "", {"Location": f"/orders/{number}"})

    def reply(self, status: int, body: str, headers: dict[str, str] | None = None) -> None:
        encoded = body.encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(encoded))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(encoded)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the library's name
        pass


class ShopServer(ThreadingHTTPServer):
    """It takes more connections at once than the library does by itself."""

    request_queue_size = 500
    daemon_threads = True


def serve(url: str, port: int, pool_size: int) -> ShopServer:
    """Return a server that listens; `serve_forever` serves."""
    Shop.engine = create_engine(url, pool_size=pool_size, max_overflow=0, pool_timeout=30)
    return ShopServer(("127.0.0.1", port), Shop)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])).serve_forever()
