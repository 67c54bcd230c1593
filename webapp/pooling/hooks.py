"""What gunicorn.conf.py calls.

Import it inside the hook, never at the top of that file: a module that the Gunicorn
master has imported is not loaded anew by a reload (HUP).
"""

from __future__ import annotations

from webapp.pooling import groupcommit, keeper, publishing
from webapp.pooling.engine import close_connections


def post_worker_init(number: int) -> None:
    """Let the fleet know of this worker, the so-maniest that its master has started."""
    publishing.join_all("worker", number)


def worker_exit() -> None:
    """Close what this worker holds, so that the server sees a goodbye and no lost client."""
    groupcommit.stop_all()
    publishing.leave_all()
    keeper.stop()
    close_connections()
