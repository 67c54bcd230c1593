"""The hooks of gunicorn.conf.py.

Import this module inside the hook, never at the top of that file: a module that the Gunicorn master has imported is not
loaded again by a reload (HUP).
"""

from __future__ import annotations

from typing import Protocol

from poolproof.engine import dispose_engines
from poolproof.fleet import agent
from poolproof.health import housekeeper
from poolproof.runtime.files import JsonObject
from poolproof.transactions import group_commit


class ThreadPoolStats(Protocol):
    """What the fleet publishes about a worker's request threads."""

    def queued(self) -> int: ...  # noqa: D102
    def stuck_for(self) -> float: ...  # noqa: D102


def post_worker_init(number: int, threads: ThreadPoolStats) -> None:
    """Register this worker, the `number`-th of its master, in the fleet, with the state of its request threads."""

    def status() -> JsonObject:
        return {"threads": {"queued": threads.queued(), "stuck_for": round(threads.stuck_for(), 3)}}

    agent.start_all("worker", number, status)


def worker_exit() -> None:
    """Finish writes and close every connection of this worker, so that the server counts no aborted client."""
    group_commit.stop_all()
    agent.stop_all()
    housekeeper.stop()
    dispose_engines()
