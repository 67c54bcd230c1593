"""What a child of fork repairs, in which order, and that one failure does not keep the others from it."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

import webapp
from poolproof.core.stats import PoolStatistics, RequestStatistics
from poolproof.runtime import fork
from poolproof.runtime.fork import Phase
from poolproof.runtime.periodic_thread import PeriodicThread


@pytest.fixture(autouse=True)
def empty_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the test a registry of its own; that of the process stays as it is."""
    monkeypatch.setattr(fork, "_callbacks", {phase: [] for phase in Phase})
    monkeypatch.setattr(fork, "_instances", {phase: type(instances)() for phase, instances in fork._instances.items()})


class Tracked:
    def __init__(self, reset: Callable[[], None]) -> None:
        self.reset_after_fork = reset


def test_phases_run_in_order_whatever_was_registered_first() -> None:
    order: list[str] = []
    fork.register(lambda: order.append("application"), Phase.APPLICATION)
    fork.register(lambda: order.append("connections"), Phase.CONNECTIONS)
    threads = Tracked(lambda: order.append("threads"))
    fork.track(threads, Phase.THREADS)
    fork.register(lambda: order.append("locks"), Phase.LOCKS)
    fork.repair_child()
    assert order == ["locks", "threads", "connections", "application"]


def test_no_other_module_registers_a_repair_with_the_interpreter() -> None:
    modules = [path for path in (Path(webapp.__path__[0])).rglob("*.py") if "register_at_fork" in path.read_text()]
    assert [path.name for path in modules] == ["fork.py"]


def test_an_object_that_is_gone_is_not_repaired() -> None:
    order: list[str] = []
    fork.track(Tracked(lambda: order.append("gone")), Phase.LOCKS)
    fork.repair_child()
    assert order == []


def test_a_repair_that_fails_is_logged_and_the_others_run(caplog: pytest.LogCaptureFixture) -> None:
    order: list[str] = []

    def fail() -> None:
        raise RuntimeError("cannot be repaired")

    fork.register(fail, Phase.LOCKS)
    fork.register(lambda: order.append("next"), Phase.LOCKS)
    fork.register(lambda: order.append("later"), Phase.CONNECTIONS)
    with caplog.at_level(logging.ERROR):
        fork.repair_child()
    assert order == ["next", "later"]
    assert "cannot be repaired" in caplog.text


def test_a_real_child_can_count_although_its_parent_held_the_locks_at_the_fork() -> None:
    pool, requests = PoolStatistics(), RequestStatistics()
    thread = PeriodicThread("test-fork", lambda: 60.0)
    thread.ensure_running()
    with pool._lock, requests._lock, thread._lock, warnings.catch_warnings():
        # Python warns of forks in a process with threads: that is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
        if not child:
            # Another thread, as a child's request threads are: the lock is reentrant for the one that forked.
            is_free = [lock.acquire(blocking=False) for lock in (pool._lock, requests._lock, thread._lock)]
            os._exit(0 if all(is_free) and not thread.is_running() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert thread.is_running(), "the parent's thread goes on"
    assert thread.stop()
