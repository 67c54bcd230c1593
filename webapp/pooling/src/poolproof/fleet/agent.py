"""The thread by which a process takes part in its fleet: it publishes state and executes commands; one leads."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shutil
import time
import weakref
from collections.abc import Callable
from pathlib import Path

from poolproof import event_log
from poolproof.fleet.commands import CommandQueue
from poolproof.fleet.registry import FleetDirectory, Registration
from poolproof.fleet.request_counter import RequestCounter
from poolproof.metrics.timeline import RecentTimeline
from poolproof.runtime.files import JsonObject, try_lock
from poolproof.runtime.periodic_thread import PeriodicThread

log = logging.getLogger(__name__)

HEARTBEAT_INTERVAL = 0.4
"""Seconds between two heartbeats: publish the state, apply the overrides, execute the commands."""
LEADER_INTERVAL = 1.0
STALE_DIRECTORY_TTL = 24 * 3600.0

CANNOT_PUBLISH = "This process cannot publish its state for the others, in %s: %s"

DescribeProcess = Callable[[], tuple[JsonObject, JsonObject]]
"""Returns the counters of a process and its present state, with the lanes' by name under "lanes"."""


class FleetAgent:
    """Makes one process a member of its fleet."""

    def __init__(
        self,
        folder: FleetDirectory,
        describe: DescribeProcess,
        execute: Callable[[JsonObject], str],
        apply_overrides: Callable[[JsonObject], None],
        *,
        interval: float = HEARTBEAT_INTERVAL,
        leader_interval: float = LEADER_INTERVAL,
    ) -> None:
        """Publish nothing yet. `execute` executes a command, `apply_overrides` puts overrides into effect.

        The intervals are the seconds between two heartbeats, and between two calls of `on_leader_tick`.
        """
        self.folder = folder
        self.commands = CommandQueue(folder.path)
        self.extra_status: Callable[[], JsonObject] = dict
        """Returns what is added to the present state of this process."""
        self.on_leader_tick: Callable[[], None] = _no_op
        """Called every `leader_interval` seconds in one process of the fleet."""
        self._describe = describe
        self._execute = execute
        self._apply_overrides = apply_overrides
        self._interval = interval
        self._leader_interval = leader_interval
        self._timeline = RecentTimeline()
        self._registration: Registration | None = None
        self._request_counter: RequestCounter | None = None
        self._leader_lock: io.FileIO | None = None
        self._is_publish_failing = False
        self._last_counters: JsonObject = {}
        self._last_leader_tick = 0.0
        self._thread = PeriodicThread("poolproof-fleet", self._heartbeat)
        _instances.add(self)

    def start(self, name: str, number: int = 0, *, may_lead: bool = True) -> None:
        """Register this process under this name; where nothing can be written, log that and go on without."""
        # With the first state, so that no reader finds a process of which nothing is known.
        state = self._read_state()
        try:
            identity = {"name": name, "number": number, "master": master_identity()}
            self._registration = self.folder.register(identity, *state)
            self._request_counter = RequestCounter(self._registration.path)
        except OSError as error:
            log.warning(CANNOT_PUBLISH, self.folder.path, error)
            return
        event_log.record("start", f"{_display_name(self._registration)} has started.")
        if may_lead:
            remove_stale_directories(self.folder.path)
        else:
            self._last_leader_tick = float("inf")
        # Before any connection is borrowed: a suspended lane lends none. Also in a command, whose parent is no master.
        self._apply_overrides(self.commands.active_overrides(is_running))
        self._thread.wake()

    def publish_request_count(self, requests: int) -> None:
        """Publish at once how many requests this process has served."""
        if (counter := self._request_counter) is not None:
            counter.publish(requests)

    def stop(self) -> None:
        """Unregister; for the end of a process."""
        if self._registration is None:
            return
        self._request_counter = None
        self._thread.stop()
        event_log.record("end", f"{_display_name(self._registration)} has ended in order.")
        # No error may keep a process from ending: its connections have to be closed.
        try:
            self._last_counters, _ = self._describe()
        except Exception:
            log.exception("The last counters of this process cannot be read; those published before remain")
        self._flush_events()
        try:
            self._registration.unregister(self._last_counters)
        except OSError as error:
            log.warning("This process could not unregister, in %s: %s", self.folder.path, error)
        self._registration = None
        if self._leader_lock is not None:
            self._leader_lock.close()
            self._leader_lock = None

    @property
    def key(self) -> str:
        """The name of this process's file; "" while it is not registered."""
        return self._registration.key if self._registration is not None else ""

    def _heartbeat(self) -> float:
        registration = self._registration
        if registration is None:
            return self._interval
        self._publish(registration, *self._read_state())
        self._flush_events()
        self._apply_overrides(self.commands.active_overrides(is_running))
        self.commands.execute_pending(registration.key, self._execute)
        if time.monotonic() - self._last_leader_tick >= self._leader_interval:
            self._last_leader_tick = time.monotonic()
            self._run_leader_tick()
        return self._interval

    def _read_state(self) -> tuple[JsonObject, JsonObject]:
        counters, status = self._describe()
        self._last_counters = counters
        self._timeline.record(status["lanes"], counters)
        return counters, {**status, **self.extra_status(), "strip": self._timeline.to_dict()}

    def _publish(self, registration: Registration, counters: JsonObject, status: JsonObject) -> None:
        try:
            registration.publish(counters, status)
            self._is_publish_failing = False
        except OSError as error:
            if not self._is_publish_failing:
                log.warning(CANNOT_PUBLISH, self.folder.path, error)
            self._is_publish_failing = True

    def _run_leader_tick(self) -> None:
        # In a child of fork it is closed: the parent is the leader.
        if self._leader_lock is None or self._leader_lock.closed:
            self._leader_lock = try_lock(self.folder.path / "leader")
        if self._leader_lock is not None:
            self.on_leader_tick()

    def _flush_events(self) -> None:
        if events := event_log.drain():
            by = _display_name(self._registration) if self._registration else ""
            event_log.append(self.folder.path, [{**event, "by": by} for event in events])


_instances: weakref.WeakSet[FleetAgent] = weakref.WeakSet()


def start_all(name: str, number: int, extra_status: Callable[[], JsonObject]) -> None:
    """Register this process in its fleet; `extra_status` returns what is added to its present state."""
    for agent in list(_instances):
        agent.extra_status = extra_status
        agent.start(name, number)


def stop_all() -> None:
    """Unregister this process."""
    for agent in list(_instances):
        agent.stop()


def remove_stale_directories(own: Path) -> None:
    """Remove the folders of machines that have written nothing for a day: each new container has another name."""
    for folder in own.parent.iterdir():
        with contextlib.suppress(OSError, ValueError):
            if (
                folder != own
                and max(path.stat().st_mtime for path in folder.iterdir()) < time.time() - STALE_DIRECTORY_TTL
            ):
                shutil.rmtree(folder, ignore_errors=True)


def is_running(identity: str) -> bool:
    """Say whether the process with this identity, as `process_identity` returns it, is alive."""
    pid = identity.partition("-")[0]
    return pid.isdecimal() and process_identity(int(pid)) == identity and Path(f"/proc/{pid}").exists()


def process_identity(pid: int) -> str:
    """Return an identity of a process that no later process has: its id, and when it started."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return str(pid)
    return f"{pid}-{stat.rpartition(')')[2].split()[19]}"


def master_identity() -> str:
    """Return the identity of the process that has started this one."""
    return process_identity(os.getppid())


def _display_name(registration: Registration) -> str:
    identity = registration.identity
    name = f"{str(identity['name']).capitalize()} {identity['number'] or ''}".rstrip()
    return f"{name} (process {identity['pid']})"


def _no_op() -> None:
    """Do nothing; the default of `FleetAgent.on_leader_tick`."""
