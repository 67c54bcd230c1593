"""Kills a collection at each of its calls in turn, and resumes it in another process."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections.abc import Callable

from sqlalchemy import text

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.collector import http_fetcher
from webapp.collector.run_executor import RunExecutor
from webapp.collector.runs import Status
from webapp.lab.loadgen.collection_runs import (
    claim_run,
    execute_run,
    expire_heartbeat,
    fetch_dedupe_keys,
    make_source,
    order_run,
)
from webapp.lab.services import fake_opentdb
from webapp.lab.services.fake_opentdb import ContractOptions, FakeOpenTdb, make_questions

QUESTION_BANK = make_questions(56, 1)


class LostItemsError(Exception):
    """A collection that was killed and resumed has not stored exactly the items of the source."""


def run_in_fork(task: Callable[[], None]) -> int:
    """Run a task in a forked process; return its process id."""
    with warnings.catch_warnings():
        # Later Pythons warn of a fork with threads; everything used here supports one.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            task()
        finally:
            os._exit(0)
    return child


def collect_in_fork(work: UnitOfWork, server: FakeOpenTdb, spacing: float = 0.0, concurrency: int = 2) -> int:
    """Claim the queued run and execute it in a forked process; return its process id."""
    source = make_source(server, spacing=spacing, concurrency=concurrency)

    def collect() -> None:
        run = claim_run(work)
        if run is not None:
            with http_fetcher.create_client(None) as http:
                RunExecutor(work, http, source, run).execute()

    return run_in_fork(collect)


class Killer:
    """A plan without faults that kills a process at one call, before it gets the response."""

    def __init__(self, call_number: int) -> None:
        """Kill at the call of this number."""
        self.call_number = call_number
        self.pid = 0
        self.target_known = threading.Event()
        self.killed = threading.Event()

    def kill_and_wait(self, pid: int) -> None:
        """Let the process make its calls, and return when it has ended."""
        self.pid = pid
        self.target_known.set()
        os.waitpid(pid, 0)

    def __call__(self, number: int, path: str) -> None:
        """Handle a call before it is answered."""
        self.target_known.wait()
        if number == self.call_number:
            self.killed.set()
            os.kill(self.pid, signal.SIGKILL)


def kill_at_every_call(work: UnitOfWork, switches: ContractOptions) -> int:
    """Kill at each call in turn, resume, and return at how many calls there was a process to kill.

    Raises:
        LostItemsError: when the bank does not equal the source afterwards.
    """
    expected, call, killed = sorted(fake_opentdb.dedupe_keys(QUESTION_BANK)), 0, True
    while killed:
        killer = Killer(call)
        with FakeOpenTdb(QUESTION_BANK, switches, killer) as server:
            run = order_run(work, make_source(server))
            killer.kill_and_wait(collect_in_fork(work, server))
            killed = killer.killed.is_set()
            if killed:
                expire_heartbeat(work, run)
                run = execute_run(work, make_source(server), run)
                if run.status != Status.FINISHED:
                    raise LostItemsError(f"killed at call {call}: {run.error}")
        if fetch_dedupe_keys(work) != expected:
            raise LostItemsError(f"killed at call {call}, {switches}")
        with work.transaction() as connection:
            connection.execute(text("DELETE FROM item"))
        call += 1
    return call - 1
