"""Kill a collection at each of its calls in turn, and let another process go on."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Callable

from sqlalchemy import text

from webapp.collector import fetching
from webapp.collector.engine import Engine
from webapp.collector.runs import Status
from webapp.lab.loadgen.collections import carried_out, keys, let_its_worker_be_dead, ordered, source_of, taken
from webapp.lab.services import fake_opentdb
from webapp.lab.services.fake_opentdb import StandIn, Switches, questions
from webapp.pooling.work import Work

BANK = questions(56, 1)


class LostItemsError(Exception):
    """A collection that was killed and resumed has not ended with what the source has."""


def in_a_child(task: Callable[[], None]) -> int:
    """Run a task in a forked process; return its process id."""
    with warnings.catch_warnings():
        # Later Pythons warn of threads, and all that we use is made for a fork.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            task()
        finally:
            os._exit(0)
    return child


def collect_in_a_child(work: Work, server: StandIn, spacing: float = 0.0, concurrency: int = 2) -> int:
    """Take up the run that waits and carry it out in a forked process; return its process id."""
    source = source_of(server, spacing=spacing, concurrency=concurrency)

    def collect() -> None:
        run = taken(work)
        if run is not None:
            with fetching.client(None) as http:
                Engine(work, http, source, run).execute()

    return in_a_child(collect)


class Killer:
    """A plan without faults that kills a process at one call, before it gets the answer."""

    def __init__(self, at: int) -> None:
        """Kill at the call of this number."""
        self.at = at
        self.child = 0
        self.knows_whom = threading.Event()
        self.has_killed = threading.Event()

    def aim_at(self, child: int) -> None:
        """Let the calls come, and return when the process has ended."""
        self.child = child
        self.knows_whom.set()
        os.waitpid(child, 0)

    def __call__(self, number: int, path: str) -> None:
        """Take a call before it is answered."""
        self.knows_whom.wait()
        if number == self.at:
            self.has_killed.set()
            os.kill(self.child, signal.SIGKILL)


def kill_at_every_call(work: Work, switches: Switches) -> int:
    """Kill at each call in turn, resume, and return at how many calls there was a process to kill.

    Raises:
        LostItemsError: when the bank does not equal the source afterwards.
    """
    expected, at, killed = sorted(fake_opentdb.keys(BANK)), 0, True
    while killed:
        killer = Killer(at)
        with StandIn(BANK, switches, killer) as server:
            run = ordered(work, source_of(server))
            killer.aim_at(collect_in_a_child(work, server))
            killed = killer.has_killed.is_set()
            if killed:
                let_its_worker_be_dead(work, run)
                run = carried_out(work, source_of(server), run)
                if run.status != Status.FINISHED:
                    raise LostItemsError(f"killed at call {at}: {run.error}")
        if keys(work) != expected:
            raise LostItemsError(f"killed at call {at}, {switches}")
        with work.transaction() as connection:
            connection.execute(text("DELETE FROM item"))
        at += 1
    return at - 1
