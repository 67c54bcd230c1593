"""Whether this thread is opening a database connection, which the blocking guard must not take for a call out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _ConnectState(threading.local):
    in_progress = False


connect_state = _ConnectState()


@contextmanager
def connect_in_progress() -> Iterator[None]:
    """Mark this thread as opening a connection while the block runs."""
    before, connect_state.in_progress = connect_state.in_progress, True
    try:
        yield
    finally:
        connect_state.in_progress = before
