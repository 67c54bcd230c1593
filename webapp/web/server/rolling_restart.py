"""Gunicorn's master, which replaces a worker without a gap: first the new one serves, then the old one stops.

Gunicorn's own reload stops the old workers when the new ones are forked, which is seconds before they serve, and a
worker that has had its number of requests stops before another is begun. Here workers are replaced one at a time: on a
reload (HUP), when one has had its requests, and when one is told to stop (TERM) by somebody else than the master. A new
worker that does not start costs nothing while others serve.

Master and worker share the worker's heartbeat file; its size says what they have to tell each other. Loaded by
Gunicorn's master; imports nothing of ours. What it uses of the master is not documented: `reload`, `manage_workers`,
`spawn_worker`, `kill_worker`, `reap_workers`, `WORKERS`, `num_workers`, and a worker's `tmp`, `age` and `ppid`.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

_READY, _TIRED, _DISMISSED = 1, 2, 3
"""Sizes of the heartbeat file: the worker serves; it wants to be replaced; the master has told it to stop."""
RETRY_INTERVAL = 10.0
"""Seconds after a worker that did not start until another is begun."""


class RollingArbiter(Arbiter):  # type: ignore[misc]
    """Gunicorn's master with another way to replace workers."""

    WORKERS: dict[int, Any]
    _outgoing: tuple[int, ...] = ()
    """Process ids of workers that are to be replaced, in this order."""
    _successor: int | None = None
    """The worker that will take the place of the first of them."""
    _is_reloading = False
    _next_start_at = 0.0

    def reload(self) -> None:
        """Read the configuration again, and have every worker replaced."""
        workers, config = self.WORKERS, self.app.cfg
        self._is_reloading = True
        # Gunicorn's own would start and stop them all, and then wait for the old ones.
        self.WORKERS = {}
        try:
            super().reload()
        except SystemExit:
            self.app.cfg = config
            self.log.exception("The configuration cannot be read, so nothing changes.")
            return
        finally:
            self.WORKERS = workers
            self._is_reloading = False
        self._outgoing, self._successor = tuple(self.WORKERS), None
        self.manage_workers()

    def spawn_worker(self) -> int:
        """Start a worker, except while Gunicorn reloads."""
        return 0 if self._is_reloading else int(super().spawn_worker())

    def manage_workers(self) -> None:
        """Do the next step of a replacement, and keep the number of workers."""
        if self._is_reloading:
            return
        self._collect_outgoing()
        self._replace_next()
        staying = [pid for pid in self._staying() if pid != self._successor]
        missing = self.num_workers - len(staying)
        for _ in range(missing if time.monotonic() >= self._next_start_at else 0):
            self.spawn_worker()
        for pid in sorted(staying, key=lambda pid: self.WORKERS[pid].age)[: max(0, -missing)]:
            self.kill_worker(pid, signal.SIGTERM)

    def kill_worker(self, pid: int, sig: int) -> None:
        """Send a signal to a worker; one that is to stop learns that it comes from here."""
        if sig == signal.SIGTERM and (worker := self.WORKERS.get(pid)) is not None:
            _set_size(worker, _DISMISSED)
        super().kill_worker(pid, sig)

    def reap_workers(self) -> None:
        """Take note of workers that have ended; that one did not start ends the service only if no other serves."""
        try:
            super().reap_workers()
        except HaltServer as error:
            if not any(_heard(worker) in {_READY, _TIRED} for worker in self.WORKERS.values()):
                raise
            self.log.error("%s The workers before it go on serving.", error.reason)  # noqa: TRY400 - the worker told why
            self._outgoing, self._successor = (), None
            self._next_start_at = time.monotonic() + RETRY_INTERVAL

    def _staying(self) -> list[int]:
        return [pid for pid, worker in self.WORKERS.items() if _heard(worker) != _DISMISSED]

    def _collect_outgoing(self) -> None:
        """Add who wants to be replaced; forget who has ended."""
        tired = [pid for pid, worker in self.WORKERS.items() if _heard(worker) == _TIRED and pid not in self._outgoing]
        staying = set(self._staying())
        self._outgoing = tuple(pid for pid in (*self._outgoing, *tired) if pid in staying)
        if self._successor not in staying:
            self._successor = None

    def _replace_next(self) -> None:
        if not self._outgoing:
            # The worker that was to be replaced has ended by itself: the new one is one of all.
            self._successor = None
            return
        if self._successor is not None and _heard(self.WORKERS[self._successor]) == _READY:
            self.log.info("Worker %s serves in place of %s", self._successor, self._outgoing[0])
            self.kill_worker(self._outgoing[0], signal.SIGTERM)
            self._outgoing, self._successor = self._outgoing[1:], None
        # The budget of the database's connections knows of twice as many workers, and of no more.
        has_place = len(self.WORKERS) < 2 * self.num_workers and time.monotonic() >= self._next_start_at
        if self._outgoing and self._successor is None and has_place:
            self._successor = self.spawn_worker()


def install(server: Arbiter) -> None:
    """Have Gunicorn's master replace its workers in this way; for the hook `on_starting`."""
    server.__class__ = RollingArbiter


def adopt(server: Arbiter, worker: Any) -> None:
    """Let a worker know whether its master replaces it when it asks; for the hook `pre_fork`."""
    worker.is_replaced = isinstance(server, RollingArbiter)


def report_ready(worker: Any) -> None:
    """Tell the master that this worker serves from now on; for the hook `post_worker_init`."""
    _tell_master(worker, _READY)


def ask_for_replacement(worker: Any) -> bool:
    """Ask the master for a successor; return False where the worker has to stop by itself, or was told to."""
    if not getattr(worker, "is_replaced", False) or _heard(worker) in {_TIRED, _DISMISSED}:
        return False
    _tell_master(worker, _TIRED)
    return True


def _tell_master(worker: Any, size: int) -> None:
    if _heard(worker) < size:
        _set_size(worker, size)
        # It looks at its workers when one of them may have ended.
        os.kill(worker.ppid, signal.SIGCHLD)


def _set_size(worker: Any, size: int) -> None:
    descriptor = worker.tmp.fileno()
    before = os.fstat(descriptor)
    os.ftruncate(descriptor, size)
    # The time of the last change is the heartbeat.
    os.utime(descriptor, ns=(before.st_atime_ns, before.st_mtime_ns))


def _heard(worker: Any) -> int:
    return os.fstat(worker.tmp.fileno()).st_size
