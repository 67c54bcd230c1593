"""Tells a restarted server from a single lost connection."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from poolproof.runtime import fork


@dataclass(eq=False)
class ServerRestartDetector:
    """Tells a restarted server from a single lost connection, by what a new connection learns of the server.

    MySQL counts its connections from its start. Where one was lost, and a connect that began after another had
    ended got a lower id than that one, the count began anew. (Without a loss it may be another server behind the same
    address, which is no reason to renew anything.)
    """

    highest_connection_id: int = 0
    highest_connected_at: float = 0.0
    server_start: float | None = None
    """When the server of the latest connect was started, by its own clock."""
    connection_lost: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        """Have the lock renewed in a child of fork."""
        fork.track(self, fork.Phase.LOCKS)

    def record_connect(self, connection_id: int, started_at: float, connected_at: float) -> bool:
        """Record a connect; say whether the server has been restarted since the other connections were opened."""
        # The lock keeps the id and its time together: several threads connect at once.
        with self._lock:
            restarted = (
                self.connection_lost
                and connection_id < self.highest_connection_id
                and self.highest_connected_at < started_at
            )
            if restarted or connection_id > self.highest_connection_id:
                self.highest_connection_id, self.highest_connected_at = connection_id, connected_at
            self.connection_lost = self.connection_lost and not restarted
        return restarted

    def record_server_start(self, server_start: float) -> bool:
        """Record the start of the server that a connect has reached; say whether it has been restarted meanwhile."""
        # The lock keeps the comparison and the new value together.
        with self._lock:
            restarted = self.connection_lost and self.server_start is not None and server_start > self.server_start
            self.server_start = server_start
            self.connection_lost = self.connection_lost and not restarted
        return restarted

    def reset_after_fork(self) -> None:
        """Replace the lock, which a thread of the parent may have held at the fork."""
        self._lock = threading.Lock()
