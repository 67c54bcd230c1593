"""Load from processes of its own, so that the client's work is not done by the process that is measured."""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from webapp.lab.push import Plan, Visit, visit

SOON = 0.2
"""Seconds after which a push begins whose processes are there."""
POLL_INTERVAL = 0.01
LOOKS_AT_LAG = 0.1
LOOKS_EVERY = 0.2
"""Seconds between two looks at how many are through."""
SPARE_FILES = 200


@dataclass(frozen=True)
class Share:
    """What one process did: its visits, its processor seconds, and how late its loop was at worst (seconds)."""

    visits: list[Visit]
    cpu: float
    lag: float


class TooManyUsersError(Exception):
    """The system does not let this process open so many connections."""


def allow_open_files(users: int) -> None:
    """Raise the limit of open files as far as `users` need.

    Raises:
        TooManyUsersError: when the hard limit is lower.
    """
    wanted = users + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise TooManyUsersError(
            f"{users} users need {wanted} open files and this account may have {hard}: raise it (ulimit -Hn), "
            "or push with fewer users."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class StoppedError(Exception):
    """Ctrl-C has ended the push; `shares` are what had been done until then."""

    def __init__(self, shares: list[Share]) -> None:
        """Keep what was done."""
        super().__init__("The push was stopped.")
        self.shares = shares


class Pushers:
    """Processes that push; `pushers` starts them."""

    def __init__(self, pool: ProcessPoolExecutor, processes: int, through: Any, stopped: Any) -> None:
        """Use these processes; `through` counts who is through in all of them, `stopped` tells them to end."""
        self._pool = pool
        self._processes = processes
        self._through, self._stopped = through, stopped

    def push(self, plan: Plan, users: int, progress: Callable[[int], None]) -> list[Share]:
        """Let `users` people visit, divided over the processes; `progress` is told how many are through.

        Raises:
            StoppedError: on Ctrl-C, with what had been done.
        """
        numbers = [range(first, users, self._processes) for first in range(self._processes)]
        running = [self._pool.submit(_share, plan, own, users) for own in numbers]
        try:
            while wait(running, timeout=LOOKS_EVERY).not_done:
                progress(self._through.value)
            progress(users)
        except KeyboardInterrupt:
            self._stopped.value = 1
            raise StoppedError([done.result() for done in running]) from None
        return [done.result() for done in running]


@contextmanager
def pushers(processes: int) -> Iterator[Pushers]:
    """Start so many processes; a push that is planned inside of the block can begin at once."""
    context = multiprocessing.get_context("spawn")
    ready, through, stopped = (context.Value("q", 0) for _ in range(3))
    with ProcessPoolExecutor(
        processes, mp_context=context, initializer=_take_part, initargs=(ready, through, stopped)
    ) as pool:
        there = [pool.submit(_wait_for, processes) for _ in range(processes)]
        for one in there:
            one.result()
        yield Pushers(pool, processes, through, stopped)


_ready: list[Any] = []
_through: list[Any] = []
_stopped: list[Any] = []


def _take_part(ready: Any, through: Any, stopped: Any) -> None:
    """Remember, in a process of the load, where all count together who is through, and where the end is told."""
    # Ctrl-C reaches all processes of a terminal; ours are told by their parent, and have something to hand over.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _ready.append(ready)
    _through.append(through)
    _stopped.append(stopped)
    with ready.get_lock():
        ready.value += 1


def _wait_for(processes: int) -> None:
    # Each process takes one of these tasks and keeps it until the others are there; so all of them are started.
    while any(ready.value < processes for ready in _ready):
        time.sleep(POLL_INTERVAL)


def _share(plan: Plan, numbers: Sequence[int], total: int) -> Share:
    allow_open_files(len(numbers))
    before = time.process_time()
    visits, lag = asyncio.run(_visit_all(plan, numbers, total))
    return Share(visits, time.process_time() - before, lag)


async def _visit_all(plan: Plan, numbers: Sequence[int], total: int) -> tuple[list[Visit], float]:
    visits = [asyncio.create_task(_visit(plan, number, total)) for number in numbers]
    watches = [asyncio.create_task(_worst_lag()), asyncio.create_task(_end_in_time(plan, visits))]
    # One that is cut off before it has begun has no visit to return.
    ended = await asyncio.gather(*visits, return_exceptions=True)
    for watch in watches:
        watch.cancel()
    if failed := [one for one in ended if isinstance(one, Exception)]:
        raise failed[0]
    return [one for one in ended if isinstance(one, Visit)], _lag[0]


async def _end_in_time(plan: Plan, visits: Sequence[asyncio.Task[Visit]]) -> None:
    # Another process tells, and it has no events of this loop.
    while time.monotonic() < plan.ends_at and not any(stopped.value for stopped in _stopped):  # noqa: ASYNC110
        await asyncio.sleep(LOOKS_EVERY)
    for one in visits:
        one.cancel()


async def _visit(plan: Plan, number: int, total: int) -> Visit:
    ended = await visit(plan, number, total)
    for through in _through:
        with through.get_lock():
            through.value += 1
    return ended


_lag = [0.0]


async def _worst_lag() -> None:
    while True:
        meant = time.monotonic() + LOOKS_AT_LAG
        await asyncio.sleep(LOOKS_AT_LAG)
        _lag[0] = max(_lag[0], time.monotonic() - meant)
