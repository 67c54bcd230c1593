from __future__ import annotations

import os
import threading
import warnings

from poolproof.runtime.periodic_thread import PeriodicThread
from tests.support.waiting import wait_until


def test_no_thread_begins_before_it_is_needed_and_only_one_then() -> None:
    before = threading.active_count()
    thread = PeriodicThread("one", lambda: 60.0)
    assert threading.active_count() == before
    for _ in range(5):
        thread.ensure_running()
    assert threading.active_count() == before + 1
    assert thread.stop()
    assert threading.active_count() == before


def test_the_deed_is_done_again_after_its_rest_and_at_once_when_woken() -> None:
    done: list[int] = []
    rests = iter([0.0, 0.0, 60.0])

    def task() -> float:
        done.append(1)
        return next(rests, 60.0)

    thread = PeriodicThread("again", task)
    thread.ensure_running()
    wait_until(lambda: len(done) == 3)
    thread.wake()
    wait_until(lambda: len(done) == 4)
    thread.stop()


def test_a_deed_that_raises_does_not_end_the_thread() -> None:
    by: list[threading.Thread] = []

    def task() -> float:
        by.append(threading.current_thread())
        if len(by) == 1:
            raise RuntimeError("once")
        return 60.0

    thread = PeriodicThread("robust", task)
    thread.ensure_running()
    wait_until(lambda: len(by) == 1)
    thread.wake()
    wait_until(lambda: len(by) == 2)
    assert by[0] is by[1]
    thread.stop()


def test_a_stopped_thread_can_begin_again() -> None:
    thread = PeriodicThread("again", lambda: 60.0)
    thread.ensure_running()
    thread.stop()
    thread.ensure_running()
    assert thread.is_running()
    thread.stop()


def test_a_child_of_fork_has_a_thread_of_its_own() -> None:
    thread = PeriodicThread("forked", lambda: 0.01)
    thread.ensure_running()
    with warnings.catch_warnings():
        # Python warns of forks in a process with threads: that is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        inherited = thread.is_running()
        thread.ensure_running()
        os._exit(0 if not inherited and thread.is_running() else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert thread.is_running()
    thread.stop()
