"""The hooks of gunicorn.conf.py.

Import this module inside the hook, never at the top of that file: a module that the Gunicorn master has imported is not
loaded again by a reload (HUP).
"""

from __future__ import annotations

import logging
from typing import Protocol, runtime_checkable

from poolproof.engine import dispose_engines
from poolproof.fleet import agent
from poolproof.health import housekeeper
from poolproof.runtime.files import JsonObject
from poolproof.runtime.threads import REMEDY
from poolproof.transactions import group_commit

WORKER_BOOT_ERROR = 3
"""The exit code with which a worker tells Gunicorn not to start another one in its place."""


@runtime_checkable
class ThreadPoolStats(Protocol):
    """What the fleet publishes about a worker's request threads."""

    def queued(self) -> int: ...  # noqa: D102
    def stuck_for(self) -> float: ...  # noqa: D102


class ThreadWorker(Protocol):
    """Gunicorn's worker, as far as it is used here."""

    log: logging.Logger
    age: int
    """The how many-th worker of its master it is."""
    tpool: object
    """Only workers that serve requests in threads have one; Gunicorn's own tells nothing about its state."""


def post_worker_init(worker: ThreadWorker) -> None:
    """Register this worker in the fleet, with the state of its request threads.

    Raises:
        SystemExit: when it is no worker with threads; Gunicorn ends then, with one sentence in its log.
    """
    threads = getattr(worker, "tpool", None)
    if threads is None:
        worker.log.critical("%s cannot serve this application. %s", type(worker).__name__, REMEDY)
        raise SystemExit(WORKER_BOOT_ERROR)

    def status() -> JsonObject:
        if not isinstance(threads, ThreadPoolStats):
            return {}
        return {"threads": {"queued": threads.queued(), "stuck_for": round(threads.stuck_for(), 3)}}

    agent.start_all("worker", worker.age, status)


def worker_exit() -> None:
    """Finish writes and close every connection of this worker, so that the server counts no aborted client."""
    group_commit.stop_all()
    agent.stop_all()
    housekeeper.stop()
    dispose_engines()
