"""Whether this thread is opening a connection: what waits for the network then is the pool's own work."""

from __future__ import annotations

import threading


class _ConnectState(threading.local):
    in_progress = False


connect_state = _ConnectState()
