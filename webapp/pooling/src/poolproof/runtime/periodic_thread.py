"""Threads that do one task again and again: started when first needed, never before a fork, ended when told to."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from poolproof.runtime import fork

log = logging.getLogger(__name__)

ERROR_PAUSE = 1.0
"""Seconds between a task that raised and the next attempt."""


class PeriodicThread:
    """Calls `task` again and again; the task returns how many seconds to wait before the next call.

    A child of fork has none of its parent's threads: the child starts its own when it first needs one. The thread is a
    daemon, so the process may end at any time; a caller that must let the task finish calls `stop`.
    """

    def __init__(self, name: str, task: Callable[[], float]) -> None:
        """Start nothing yet."""
        self._name = name
        self._task = task
        self.reset_after_fork()
        fork.track(self, fork.Phase.THREADS)

    def reset_after_fork(self) -> None:
        """Forget the thread and replace the locks, which a thread of the parent may have held at the fork."""
        self._lock = threading.Lock()
        # A queue and no event: `request_stop` may be called by a garbage collection in the midst of any statement,
        # also of one that holds an event's lock; to put into a SimpleQueue is reentrant.
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._stopping = False

    def is_running(self) -> bool:
        """Say whether the thread is alive in this process."""
        return self._thread is not None and self._pid == os.getpid() and self._thread.is_alive()

    def ensure_running(self) -> None:
        """Start the thread unless it runs; cheap when it does."""
        if self.is_running() or self._stopping:
            return
        # The lock keeps two callers from starting two threads; the test above is repeated under it.
        with self._lock:
            if not self.is_running() and not self._stopping:
                self._pid = os.getpid()
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def wake(self) -> None:
        """End the present pause; start the thread unless it runs."""
        self._end_pause()
        self.ensure_running()

    def stop(self, timeout: float = 5.0) -> bool:
        """Let the thread finish its present task and end; say whether it did within `timeout` seconds."""
        self.request_stop()
        if self.is_running() and self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        has_ended = not self.is_running()
        if has_ended:
            self.reset_after_fork()
        return has_ended

    def request_stop(self) -> None:
        """Let the thread end after its present task; does not wait for it."""
        self._stopping = True
        self._end_pause()

    def _run(self) -> None:
        while not self._stopping:
            try:
                pause = self._task()
            except Exception:
                # The thread serves the whole process: one error must not end it for the rest of the process's life.
                log.exception("The thread %s met with an error and goes on", self._name)
                pause = ERROR_PAUSE
            if not self._stopping:
                self._sleep(pause)

    def _sleep(self, seconds: float) -> None:
        with suppress(Empty):
            self._wake.get(timeout=max(0.0, seconds))
            while True:
                # Whoever called `wake` before this moment is served by the task that comes next.
                self._wake.get_nowait()

    def _end_pause(self) -> None:
        # One is enough; two that find it empty at once put two.
        if self._wake.empty():
            self._wake.put(None)
