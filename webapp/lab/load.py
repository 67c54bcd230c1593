"""Load from processes of its own, so that the client's work is not done by the process that is measured."""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from webapp.lab.push import Plan, Visit, visit

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


def push(plan: Plan, users: int, processes: int, progress: Callable[[int], None]) -> list[Share]:
    """Let `users` people visit, divided over `processes`; `progress` is told how many are through."""
    numbers = [range(first, users, processes) for first in range(processes)]
    context = multiprocessing.get_context("spawn")
    through = context.Value("q", 0)
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_count_in, initargs=(through,)) as pool:
        running = [pool.submit(_share, plan, own, users) for own in numbers]
        while wait(running, timeout=LOOKS_EVERY).not_done:
            progress(through.value)
        progress(users)
    return [done.result() for done in running]


_through: list[Any] = []


def _count_in(through: Any) -> None:
    """Remember, in a process of the load, where all count together who is through."""
    _through.append(through)


def _share(plan: Plan, numbers: Sequence[int], total: int) -> Share:
    allow_open_files(len(numbers))
    before = time.process_time()
    visits, lag = asyncio.run(_visit_all(plan, numbers, total))
    return Share(visits, time.process_time() - before, lag)


async def _visit_all(plan: Plan, numbers: Sequence[int], total: int) -> tuple[list[Visit], float]:
    watch = asyncio.create_task(_worst_lag())
    visits = await asyncio.gather(*(_visit(plan, number, total) for number in numbers))
    watch.cancel()
    return visits, _lag[0]


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
