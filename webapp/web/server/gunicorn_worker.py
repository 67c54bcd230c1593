"""The Gunicorn worker: a main loop that collects whole requests, and threads that answer them.

`connection_loop` has the connections, `request_handler` the threads; this module is what Gunicorn's master starts and
stops. It is loaded by the master and imports nothing of ours but the other modules of its package.

This package alone touches what Gunicorn does not document (hence `gunicorn<28`; a contract test has the same list).
Of a worker: `init_process`, `load_wsgi`, `run`, `notify`, `handle_exit`, `handle_quit`, `handle_error`, its
attributes `alive`, `nr`, `max_requests`, `ppid`, `sockets`, `wsgi`. Of a request: `Request` with `parse_headers`,
`should_close`, `headers`, `version`, `scheme`, `body` and `_expected_100_continue`; `Unreader` with `read`, `unread`,
`chunk` and `take_buffered`; `LengthReader` with `length`; `ChunkedReader`; `Body` with `failed`. Of a response:
`create`; `Response` with `write`, `close`, `should_close`, `force_close`, `must_close`, `req`, `status`, `sent`,
`sock`. Of TLS: `ssl_context`.
"""

from __future__ import annotations

import os
import time
from typing import Any

from gunicorn import sock as gunicorn_sockets
from gunicorn.workers.base import Worker

from webapp.web.server.connection import ClientConnection
from webapp.web.server.connection_loop import ConnectionLoop
from webapp.web.server.limits import ClientTimeouts
from webapp.web.server.parsed_request import CachedSettings
from webapp.web.server.request_handler import RequestHandler
from webapp.web.server.rolling_restart import ask_for_replacement
from webapp.web.server.thread_pool import RequestThreadPool

HEARTBEAT = 1.0
"""Seconds after which the master hears of a worker that has nothing to do."""


class PoolproofWorker(Worker):  # type: ignore[misc]
    """A worker with one main loop and request threads, whose responses may be deferred."""

    alive: bool
    nr: int
    timeouts = ClientTimeouts()
    """Set by gunicorn.conf.py, from the settings."""

    def init_process(self) -> None:
        """Prepare in the new process, and serve until told to stop."""
        config = CachedSettings(self.cfg)
        self._loop = ConnectionLoop(config, self.log, self.timeouts, self)
        self._handler = RequestHandler(config, self.log, self._loop.release, self.handle_error)
        super().init_process()

    @property
    def tpool(self) -> RequestThreadPool:
        """The request threads, whose state the fleet publishes."""
        return self._handler.threads

    def load_wsgi(self) -> None:
        """Load the application."""
        super().load_wsgi()
        self._handler.application = self.wsgi
        self._handler.console_port = getattr(self.wsgi, "config", {}).get("CONSOLE_PORT", "")
        self._handler.fast_path = getattr(self.wsgi, "extensions", {}).get("fast_path")

    def run(self) -> None:
        """Serve; then answer what has been received, and end."""
        tls = gunicorn_sockets.ssl_context(self.cfg) if self.cfg.is_ssl else None
        self._loop.listen(self.sockets, self.cfg.worker_connections, tls)
        while self.alive:
            self.notify()
            self._loop.run_once(HEARTBEAT)
            if self.ppid != os.getppid():
                self.log.info("Parent changed, shutting down: %s", self)
                break
        self._stop()

    def _stop(self) -> None:
        self._handler.closes_connections = True
        self._loop.stop()
        deadline = time.monotonic() + self.cfg.graceful_timeout
        while len(self._loop) and time.monotonic() < deadline:
            self.notify()
            self._loop.run_once(HEARTBEAT)
        self._loop.close()
        self._handler.shutdown()
        for listener in self.sockets:
            listener.close()

    def handle(self, connection: ClientConnection) -> None:
        """Have a thread answer the connection's request, which is there."""
        self.nr += 1
        if self.nr == self.max_requests and not ask_for_replacement(self):
            self.alive = False
        self._handler.submit(connection, self._handler.handle, connection)

    def refuse(self, connection: ClientConnection, error: Exception) -> None:
        """Tell a client what is wrong with its request."""
        self.handle_error(connection.reader.request, connection.output, connection.client, error)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Stop in order, on TERM: when another worker serves, if it is not the master that has sent it."""
        if not ask_for_replacement(self):
            super().handle_exit(sig, frame)
            self._loop.wake()

    def handle_quit(self, sig: int, frame: Any) -> None:
        """Stop at once, on QUIT and INT."""
        self._handler.shutdown()
        super().handle_quit(sig, frame)
