"""An application that says what it has received, on our worker and on Gunicorn's own: `gunicorn …echo_server:app`."""

from __future__ import annotations

import builtins
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from tests.support import PROJECT
from webapp.lab.services.processes import HOST, free_port, start, stop
from webapp.lab.services.service_process import PROCESS_KIND, RunningService
from webapp.settings import child_environment

OURS = "webapp.web.server.gunicorn_worker.PoolproofWorker"
PATIENCE = 60.0


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with the request as it was understood; /raise/NAME raises, /large is large, /unread reads no body."""
    path = environ["PATH_INFO"]
    if path.startswith("/raise/"):
        raise getattr(builtins, path.rpartition("/")[2])("as it was asked for")
    if path == "/large":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"x" * 1_000_000] * 3
    body = b"" if path == "/unread" else environ["wsgi.input"].read()
    understood = {
        "method": environ["REQUEST_METHOD"],
        "path": path,
        "query": environ["QUERY_STRING"],
        "body": body.decode("latin-1") if len(body) < 1000 else "",
        "length": len(body),
        "scheme": environ["wsgi.url_scheme"],
        "script": environ["SCRIPT_NAME"],
    }
    answer = json.dumps(understood).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]


@contextmanager
def echo_server(
    folder: Path,
    *options: str,
    worker: str = OURS,
    ready: Callable[[int], bool] | None = None,
    threads: int = 2,
    application: str = "tests.support.echo_server:app",
) -> Iterator[RunningService]:
    """Serve the application until the block ends; `ready` says whether the server at a port answers."""
    folder.mkdir(parents=True, exist_ok=True)
    port, log = free_port(), folder / "log"
    log.write_bytes(b"")
    command = [
        sys.executable, "-m", "gunicorn", "--worker-class", worker, "--threads", str(threads), "--bind",
        f"{HOST}:{port}", "--no-control-socket", "--no-sendfile", *options, application,
    ]  # fmt: skip
    # Not in the project's folder, whose gunicorn.conf.py it would find.
    environment = child_environment({}, inherit_settings=False, import_from=PROJECT)
    process = start(PROCESS_KIND, command, log, environment, folder)
    try:
        deadline = time.monotonic() + PATIENCE
        while not (ready or is_ready)(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield RunningService("The echo", port, process.pid, log)
    finally:
        stop(process, PATIENCE)


def is_ready(port: int) -> bool:
    """Say whether a server at this port answers."""
    try:
        return httpx2.get(f"http://{HOST}:{port}/").status_code == 200
    except httpx2.TransportError:
        return False
