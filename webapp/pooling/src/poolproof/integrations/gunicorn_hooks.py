"""What gunicorn.conf.py calls.

Import it inside the hook, never at the top of that file: a module that the Gunicorn
master has imported is not loaded anew by a reload (HUP).
"""

from __future__ import annotations

from typing import Protocol

from poolproof.engine import dispose_engines
from poolproof.fleet import agent
from poolproof.health import housekeeper
from poolproof.runtime.files import JsonObject
from poolproof.transactions import group_commit


class ThreadPoolStats(Protocol):
    """What the fleet wants to know of a worker's request threads."""

    def queued(self) -> int: ...  # noqa: D102
    def stuck_for(self) -> float: ...  # noqa: D102


def post_worker_init(number: int, threads: ThreadPoolStats) -> None:
    """Let the fleet know of this worker, the so-maniest that its master has started, and of who waits for a thread."""

    def now() -> JsonObject:
        return {"threads": {"queued": threads.queued(), "stuck_for": round(threads.stuck_for(), 3)}}

    agent.start_all("worker", number, now)


def worker_exit() -> None:
    """Close what this worker holds, so that the server sees a goodbye and no lost client."""
    group_commit.stop_all()
    agent.stop_all()
    housekeeper.stop()
    dispose_engines()
