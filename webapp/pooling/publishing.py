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

from webapp.pooling import diary, events
from webapp.pooling.background import BackgroundThread
from webapp.pooling.fleet import Folder, Seat, Tree, try_lock
from webapp.pooling.orders import Orders
from webapp.pooling.pulse import Pulse
from webapp.pooling.strip import Strip

log = logging.getLogger(__name__)

BEAT = 0.4
"""Seconds between two words of a process."""
LEADS_EVERY = 1.0
FORGOTTEN_AFTER = 24 * 3600.0

Describe = Callable[[], tuple[Tree, Tree]]
"""Returns what a process has counted, and what it is doing now: `now["lanes"]` by name."""


class Publisher:
    """A process's part in its fleet."""

    def __init__(
        self,
        folder: Folder,
        describe: Describe,
        obey: Callable[[Tree], str],
        stand: Callable[[Tree], None],
        *,
        interval: float = BEAT,
        lead_interval: float = LEADS_EVERY,
    ) -> None:
        """Take no part yet. `obey` carries out an order, `stand` makes the standing orders true.

        The intervals are the seconds between two beats, and between two calls of `lead`.
        """
        self.folder = folder
        self.orders = Orders(folder.path)
        self.more: Callable[[], Tree] = dict
        """Adds to what this process says it is doing now."""
        self.lead: Callable[[], None] = _do_nothing
        """Called once in `lead_interval` in one process of the fleet."""
        self._describe = describe
        self._obey = obey
        self._stand = stand
        self._interval = interval
        self._lead_interval = lead_interval
        self._strip = Strip()
        self._seat: Seat | None = None
        self._pulse: Pulse | None = None
        self._leading: io.FileIO | None = None
        self._is_mute = False
        self._counted: Tree = {}
        self._led_at = 0.0
        self._thread = BackgroundThread("poolproof-fleet", self._beat)
        _all.add(self)

    def join(self, name: str, number: int = 0, *, leads: bool = True) -> None:
        """Take part from now on, under this name; where nothing can be written, say so and go on without."""
        try:
            self._seat = self.folder.join({"name": name, "number": number, "master": master_name()})
            self._pulse = Pulse(self._seat.path)
        except OSError as error:
            log.warning("This process cannot tell the others of its pools, in %s: %s", self.folder.path, error)
            return
        events.note("start", f"{_called(self._seat)} has started.")
        if leads:
            forget_old_folders(self.folder.path)
        else:
            self._led_at = float("inf")
        # Before anything is borrowed: what is paused does not even begin. Also in a command, which has another parent.
        self._stand(self.orders.in_force(is_running))
        self._thread.wake()

    def beat(self, requests: int) -> None:
        """Say at once how many requests this process has served."""
        if (pulse := self._pulse) is not None:
            pulse.beat(requests)

    def leave(self) -> None:
        """Say goodbye; for the end of a process."""
        if self._seat is None:
            return
        self._pulse = None
        self._thread.stop()
        events.note("end", f"{_called(self._seat)} has ended in order.")
        # Whatever happens, the end of a process goes on: its connections have to be closed.
        try:
            self._counted, _ = self._describe()
        except Exception:
            log.exception("This process says goodbye with what it said last")
        self._write_diary()
        try:
            self._seat.leave(self._counted)
        except OSError as error:
            log.warning("This process could not say goodbye, in %s: %s", self.folder.path, error)
        self._seat = None
        if self._leading is not None:
            self._leading.close()
            self._leading = None

    @property
    def key(self) -> str:
        """The name of this process's file; "" while it takes no part."""
        return self._seat.key if self._seat is not None else ""

    def _beat(self) -> float:
        seat = self._seat
        if seat is None:
            return self._interval
        counted, now = self._describe()
        self._counted = counted
        self._strip.note(now["lanes"], counted)
        self._say(seat, counted, {**now, **self.more(), "strip": self._strip.tree()})
        self._write_diary()
        self._stand(self.orders.in_force(is_running))
        self.orders.carry_out(seat.key, self._obey)
        if time.monotonic() - self._led_at >= self._lead_interval:
            self._led_at = time.monotonic()
            self._lead_if_first()
        return self._interval

    def _say(self, seat: Seat, counted: Tree, now: Tree) -> None:
        try:
            seat.say(counted, now)
            self._is_mute = False
        except OSError as error:
            if not self._is_mute:
                log.warning("This process cannot tell the others of its pools, in %s: %s", self.folder.path, error)
            self._is_mute = True

    def _lead_if_first(self) -> None:
        # In a child of fork it is closed: the parent leads.
        if self._leading is None or self._leading.closed:
            self._leading = try_lock(self.folder.path / "leader")
        if self._leading is not None:
            self.lead()

    def _write_diary(self) -> None:
        if happened := events.take():
            by = _called(self._seat) if self._seat else ""
            diary.write(self.folder.path, [{**one, "by": by} for one in happened])


_all: weakref.WeakSet[Publisher] = weakref.WeakSet()


def join_all(name: str, number: int, more: Callable[[], Tree]) -> None:
    """Let this process take part in its fleet; `more` adds to what it is doing now."""
    for publisher in list(_all):
        publisher.more = more
        publisher.join(name, number)


def leave_all() -> None:
    """Say goodbye for this process."""
    for publisher in list(_all):
        publisher.leave()


def forget_old_folders(own: Path) -> None:
    """Remove the folders of machines that have said nothing for a day: each new container has another name."""
    for folder in own.parent.iterdir():
        with contextlib.suppress(OSError, ValueError):
            if folder != own and max(path.stat().st_mtime for path in folder.iterdir()) < time.time() - FORGOTTEN_AFTER:
                shutil.rmtree(folder, ignore_errors=True)


def is_running(master: str) -> bool:
    """Say whether the process with this name, as `master_of` gives it, lives."""
    pid = master.partition("-")[0]
    return pid.isdecimal() and master_of(int(pid)) == master and Path(f"/proc/{pid}").exists()


def master_of(pid: int) -> str:
    """Return a name for the process that has started this one: its number, and when it began."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:  # noqa: PTH123 - no path that could be another's
            began = stat.read().rpartition(")")[2].split()[19]
    except OSError:
        return str(pid)
    return f"{pid}-{began}"


def master_name() -> str:
    """Return a name for the process that has started this one."""
    return master_of(os.getppid())


def _called(seat: Seat) -> str:
    about = seat.about
    return f"{str(about['name']).capitalize()} {about['number'] or ''}".rstrip() + f" (process {about['pid']})"


def _do_nothing() -> None:
    """Lead nobody."""
