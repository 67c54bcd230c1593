"""A process whose engines are adopted, and the processes beside it: their state, for commands, metrics and a page."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from poolproof import event_log
from poolproof.core.stats import RequestStatistics
from poolproof.fleet import process_snapshot
from poolproof.fleet.agent import FleetAgent
from poolproof.fleet.commands import CommandError
from poolproof.fleet.fleet_metrics import fleet_families
from poolproof.fleet.registry import FleetDirectory, FleetSnapshot, Member
from poolproof.lanes import Lane
from poolproof.metrics.metrics import render_text
from poolproof.runtime import fork
from poolproof.runtime.files import JsonObject


class AdoptedProcess:
    """The adopted engines of one application in this process, and the folder that its processes share."""

    def __init__(self, lanes: Sequence[Lane], requests: RequestStatistics, folder: Path | None, min_idle: int) -> None:
        """Write nothing yet. Without `folder` this process knows of itself alone."""
        self.lanes = lanes
        self.requests = requests
        self.folder = folder
        self._min_idle = min_idle
        self._describe = partial(process_snapshot.describe_process, lanes, requests)
        self._agent: FleetAgent | None = None
        if folder is not None:
            self._agent = FleetAgent(FleetDirectory(folder), self._describe, _refuse, _ignore)
            requests.on_request = self._agent.publish_request_count
        self._registered_pid = 0
        self._lock = threading.Lock()
        fork.track(self, fork.Phase.LOCKS)

    def ensure_registered(self, name: str = "worker") -> None:
        """Publish the state of this process to the others from now on; a later call does nothing."""
        agent = self._agent
        if agent is None or self._registered_pid == os.getpid():
            return
        # Of several first requests one registers the process.
        with self._lock:
            if self._registered_pid == os.getpid():
                return
            self._registered_pid = os.getpid()
            # A hook of Gunicorn may have been first.
            if not agent.key:
                agent.start(name)
        atexit.register(self.end)

    def end(self) -> None:
        """Publish no more; for the end of this process."""
        if self._agent is not None and self._registered_pid == os.getpid():
            self._agent.stop()

    def snapshot(self) -> FleetSnapshot:
        """Return the state of all processes; without a folder, or before the first request, of this one."""
        shared = self.published()
        if shared.members:
            return shared
        counters, status = self._describe()
        return FleetSnapshot([Member("", {"name": "process", "pid": os.getpid()}, counters, status, 0.0)], counters)

    def published(self) -> FleetSnapshot:
        """Return what the processes have published; nothing where there is no folder."""
        if self.folder is None or not self.folder.is_dir():
            return FleetSnapshot()
        return FleetDirectory(self.folder).snapshot()

    def events(self, limit: int) -> list[JsonObject]:
        """Return the last events of all processes, the latest first."""
        return event_log.recent(self.folder, limit) if self.folder is not None else []

    def metrics_text(self, *, openmetrics: bool = False) -> str:
        """Return the metrics of all processes in Prometheus's text format; each pool has its engine's name."""
        return render_text(fleet_families(self.snapshot(), self._min_idle), openmetrics=openmetrics)

    def reset_after_fork(self) -> None:
        """Replace the lock, which a thread of the parent may have held at the fork."""
        self._lock = threading.Lock()


def _refuse(command: JsonObject) -> str:
    raise CommandError(f"{command.get('action')} is not done in an application whose engines are adopted.")


def _ignore(overrides: JsonObject) -> None:
    """Do nothing: pools of an application keep their sizes."""
