"""What gunicorn.conf.py calls.

Import it inside the hook, never at the top of that file: a module that the Gunicorn
master has imported is not loaded anew by a reload (HUP).
"""

from __future__ import annotations

from typing import Protocol

from webapp.pooling import groupcommit, keeper, publishing
from webapp.pooling.engine import dispose_engines
from webapp.pooling.fleet import JsonObject


class ThreadPoolStats(Protocol):
    """What the fleet wants to know of a worker's request threads."""

    def queued(self) -> int: ...  # noqa: D102
    def stuck_for(self) -> float: ...  # noqa: D102


def post_worker_init(number: int, threads: ThreadPoolStats) -> None:
    """Let the fleet know of this worker, the so-maniest that its master has started, and of who waits for a thread."""

    def now() -> JsonObject:
        return {"threads": {"queued": threads.queued(), "stuck_for": round(threads.stuck_for(), 3)}}

    publishing.start_all("worker", number, now)


def worker_exit() -> None:
    """Close what this worker holds, so that the server sees a goodbye and no lost client."""
    groupcommit.stop_all()
    publishing.stop_all()
    keeper.stop()
    dispose_engines()
