"""Every connection is an open file: the process's limit of them, and how many connections fit in it.

Loaded by Gunicorn's master; imports nothing of ours.
"""

from __future__ import annotations

import resource

MAX_CONNECTIONS = 20_000
"""Connections of one worker, where files are no concern."""
RESERVED_FILES = 128
"""Files of a worker that are no clients: connections to the database, listeners, logs, modules being loaded."""
ENOUGH_FILES = 1_048_576
"""What is asked for where the hard limit is none."""


def raise_file_limit() -> int:
    """Raise this process's soft limit of open files to its hard limit, for itself and its children; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH_FILES if hard == resource.RLIM_INFINITY else hard
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft if soft != resource.RLIM_INFINITY else ENOUGH_FILES
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        # Some systems refuse what they have promised; the service works with fewer connections.
        return soft
    return wanted


def connections_for(files: int) -> int:
    """Return how many connections a worker takes that may have so many files."""
    return min(MAX_CONNECTIONS, max(files - RESERVED_FILES, files // 2))
