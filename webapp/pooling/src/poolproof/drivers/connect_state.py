"""Whether this thread is opening a database connection, which the blocking guard must not take for a call out."""

from __future__ import annotations

import threading


class _ConnectState(threading.local):
    in_progress = False


connect_state = _ConnectState()
