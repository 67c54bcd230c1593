"""The thread by which a process takes part in its fleet: says what it does, does what it is asked, and one leads."""

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
"""Seconds between two words of a process."""
LEADER_INTERVAL = 1.0
STALE_DIRECTORY_TTL = 24 * 3600.0

DescribeProcess = Callable[[], tuple[JsonObject, JsonObject]]
"""Returns what a process has counted, and what it is doing now: `now["lanes"]` by name."""


class FleetAgent:
    """A process's part in its fleet."""

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
        """Take no part yet. `obey` carries out an order, `stand` makes the standing orders true.

        The intervals are the seconds between two beats, and between two calls of `lead`.
        """
        self.folder = folder
        self.commands = CommandQueue(folder.path)
        self.extra_status: Callable[[], JsonObject] = dict
        """Adds to what this process says it is doing now."""
        self.on_leader_tick: Callable[[], None] = _no_op
        """Called once in `lead_interval` in one process of the fleet."""
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
        """Take part from now on, under this name; where nothing can be written, say so and go on without."""
        try:
            self._registration = self.folder.register({"name": name, "number": number, "master": master_identity()})
            self._request_counter = RequestCounter(self._registration.path)
        except OSError as error:
            log.warning("This process cannot tell the others of its pools, in %s: %s", self.folder.path, error)
            return
        event_log.record("start", f"{_display_name(self._registration)} has started.")
        if may_lead:
            remove_stale_directories(self.folder.path)
        else:
            self._last_leader_tick = float("inf")
        # Before anything is borrowed: what is paused does not even begin. Also in a command, which has another parent.
        self._apply_overrides(self.commands.active_overrides(is_running))
        self._thread.wake()

    def publish_request_count(self, requests: int) -> None:
        """Say at once how many requests this process has served."""
        if (pulse := self._request_counter) is not None:
            pulse.publish(requests)

    def stop(self) -> None:
        """Say goodbye; for the end of a process."""
        if self._registration is None:
            return
        self._request_counter = None
        self._thread.stop()
        event_log.record("end", f"{_display_name(self._registration)} has ended in order.")
        # Whatever happens, the end of a process goes on: its connections have to be closed.
        try:
            self._last_counters, _ = self._describe()
        except Exception:
            log.exception("This process says goodbye with what it said last")
        self._flush_events()
        try:
            self._registration.unregister(self._last_counters)
        except OSError as error:
            log.warning("This process could not say goodbye, in %s: %s", self.folder.path, error)
        self._registration = None
        if self._leader_lock is not None:
            self._leader_lock.close()
            self._leader_lock = None

    @property
    def key(self) -> str:
        """The name of this process's file; "" while it takes no part."""
        return self._registration.key if self._registration is not None else ""

    def _heartbeat(self) -> float:
        seat = self._registration
        if seat is None:
            return self._interval
        counted, now = self._describe()
        self._last_counters = counted
        self._timeline.record(now["lanes"], counted)
        self._publish(seat, counted, {**now, **self.extra_status(), "strip": self._timeline.to_dict()})
        self._flush_events()
        self._apply_overrides(self.commands.active_overrides(is_running))
        self.commands.execute_pending(seat.key, self._execute)
        if time.monotonic() - self._last_leader_tick >= self._leader_interval:
            self._last_leader_tick = time.monotonic()
            self._run_leader_tick()
        return self._interval

    def _publish(self, registration: Registration, counters: JsonObject, status: JsonObject) -> None:
        try:
            registration.publish(counters, status)
            self._is_publish_failing = False
        except OSError as error:
            if not self._is_publish_failing:
                log.warning("This process cannot tell the others of its pools, in %s: %s", self.folder.path, error)
            self._is_publish_failing = True

    def _run_leader_tick(self) -> None:
        # In a child of fork it is closed: the parent leads.
        if self._leader_lock is None or self._leader_lock.closed:
            self._leader_lock = try_lock(self.folder.path / "leader")
        if self._leader_lock is not None:
            self.on_leader_tick()

    def _flush_events(self) -> None:
        if happened := event_log.drain():
            by = _display_name(self._registration) if self._registration else ""
            event_log.append(self.folder.path, [{**one, "by": by} for one in happened])


_instances: weakref.WeakSet[FleetAgent] = weakref.WeakSet()


def start_all(name: str, number: int, extra_status: Callable[[], JsonObject]) -> None:
    """Let this process take part in its fleet; `more` adds to what it is doing now."""
    for publisher in list(_instances):
        publisher.extra_status = extra_status
        publisher.start(name, number)


def stop_all() -> None:
    """Say goodbye for this process."""
    for publisher in list(_instances):
        publisher.stop()


def remove_stale_directories(own: Path) -> None:
    """Remove the folders of machines that have said nothing for a day: each new container has another name."""
    for folder in own.parent.iterdir():
        with contextlib.suppress(OSError, ValueError):
            if (
                folder != own
                and max(path.stat().st_mtime for path in folder.iterdir()) < time.time() - STALE_DIRECTORY_TTL
            ):
                shutil.rmtree(folder, ignore_errors=True)


def is_running(identity: str) -> bool:
    """Say whether the process with this name, as `process_identity` gives it, lives."""
    pid = identity.partition("-")[0]
    return pid.isdecimal() and process_identity(int(pid)) == identity and Path(f"/proc/{pid}").exists()


def process_identity(pid: int) -> str:
    """Return a name for the process that has started this one: its number, and when it began."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:  # noqa: PTH123 - no path that could be another's
            began = stat.read().rpartition(")")[2].split()[19]
    except OSError:
        return str(pid)
    return f"{pid}-{began}"


def master_identity() -> str:
    """Return a name for the process that has started this one."""
    return process_identity(os.getppid())


def _display_name(registration: Registration) -> str:
    about = registration.identity
    return f"{str(about['name']).capitalize()} {about['number'] or ''}".rstrip() + f" (process {about['pid']})"


def _no_op() -> None:
    """Lead nobody."""
