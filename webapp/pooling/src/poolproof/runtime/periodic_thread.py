"""Threads of a process: they start when first needed, never before a fork, and end when told to."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable

log = logging.getLogger(__name__)


class PeriodicThread:
    """Calls `deed` again and again; the deed returns how many seconds to rest before the next time.

    A child of fork has no thread of its parent's: in the child it starts anew when needed there.
    It is a daemon, so a process may end at any time; who has to finish something calls `stop`.
    """

    def __init__(self, name: str, task: Callable[[], float]) -> None:
        """Start nothing yet."""
        self._name = name
        self._task = task
        self._reset()
        _instances.add(self)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._stopping = False

    def is_running(self) -> bool:
        """Say whether the thread lives in this process."""
        return self._thread is not None and self._pid == os.getpid() and self._thread.is_alive()

    def ensure_running(self) -> None:
        """Start the thread unless it runs; cheap when it does."""
        if self.is_running() or self._stopping:
            return
        with self._lock:
            if not self.is_running() and not self._stopping:
                self._pid = os.getpid()
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def wake(self) -> None:
        """End the present rest; start the thread unless it runs."""
        self._wake.set()
        self.ensure_running()

    def stop(self, timeout: float = 5.0) -> bool:
        """Let the thread finish what it is doing and end; say whether it did within so many seconds."""
        self._stopping = True
        self._wake.set()
        if self.is_running() and self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        ended = not self.is_running()
        if ended:
            self._reset()
        return ended

    def _run(self) -> None:
        while not self._stopping:
            try:
                rest = self._task()
            except Exception:
                # It looks after others: one mishap must not end that for the rest of the process's life.
                log.exception("The thread %s met with an error and goes on", self._name)
                rest = 1.0
            if not self._stopping and self._wake.wait(rest):
                self._wake.clear()


_instances: weakref.WeakSet[PeriodicThread] = weakref.WeakSet()


def _reset_all_after_fork() -> None:
    # Also its locks: another thread of the parent may have held one at the moment of the fork.
    for thread in list(_instances):
        thread._reset()  # noqa: SLF001 - in its own module


os.register_at_fork(after_in_child=_reset_all_after_fork)
