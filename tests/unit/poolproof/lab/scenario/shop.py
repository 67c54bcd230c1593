"""The application of tests/apps/stdlib_app.py, and a scenario that visits it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from poolproof.lab.scenario.address import Address, parse_address
from tests.apps.stdlib_app import serve

SCENARIO = """
title = "A shop"
users = 3
seconds = 0.6
headers = { X-Client = "lab" }
[values]
page = { integer = [1, 9] }
note = { choice = ["it's €5"] }
[[visit]]
name = "look"
request = [{ path = "/" }, { path = "/items?page=${page}", expect = [200] }]
[[visit]]
name = "buy"
[[visit.request]]
path = "/"
take = { csrf = { pattern = 'name="csrf" value="([^"]+)"' } }
[[visit.request]]
method = "POST"
path = "/sign-in"
form = { name = "ada", csrf = "${csrf}" }
expect = [303]
[[visit.request]]
path = "/items?page=${page}"
take = { item = { json = "items.0.id" } }
[[visit.request]]
method = "POST"
path = "/orders"
json = { item = "${item}", note = "${note}, from page ${page}" }
expect = [201]
take = { order = { header = "Location" } }
"""


@contextmanager
def serve_shop(folder: Path) -> Iterator[Address]:
    """Serve in a thread."""
    server = serve(f"sqlite:///{folder}/shop.sqlite", 0, 4)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield parse_address(f"http://127.0.0.1:{server.server_address[1]}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        server.RequestHandlerClass.engine.dispose()  # type: ignore[attr-defined]
