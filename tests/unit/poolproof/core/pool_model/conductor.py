"""Threads that wait for a connection, made deterministic: one runs at a time, and only when the model lets it.

The pool parks a waiting thread on a lock of its own (`Waiter`). The model gives it a lock whose waits end by the
model's clock, or by an exception that the model throws in, as a signal handler would.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Any

TIMEOUT = 60.0
"""Seconds after which a thread that neither ends nor parks is taken for blocked."""
TICK = 1e-6
"""Seconds that pass between two looks at the clock: no two events are at the same time, as on a real one."""


class ModelClock:
    """Stands for `time.monotonic`: it moves on by a tick at each look of the model's threads, and by what it says.

    Other threads of the process, such as those that write logs, look at it too: their looks move nothing.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.threads = {threading.get_ident()}

    def __call__(self) -> float:
        if threading.get_ident() in self.threads:
            self.now += TICK
        return self.now

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass at once."""
        self.now += seconds


class Worker:
    """A thread that borrows one connection and ends; `outcome` is the connection or the error."""

    def __init__(self, conductor: Conductor, task: Callable[[], Any], number: int) -> None:
        self._conductor = conductor
        self._task = task
        self.number = number
        self.outcome: Any = None
        self.error: BaseException | None = None
        self.interruption: BaseException | None = None
        self.signal: Signal | None = None
        self.has_ended = False
        self.thread = threading.Thread(target=contextvars.copy_context().run, args=(self._run,), daemon=True)

    def _run(self) -> None:
        conductor = self._conductor
        conductor.current.worker = self
        conductor.clock.threads.add(threading.get_ident())
        with conductor.changed:
            conductor.wait_until(lambda: conductor.turn is self)
        try:
            self.outcome = self._task()
        except BaseException as error:  # noqa: BLE001 - the model judges it
            self.error = error
        conductor.clock.threads.discard(threading.get_ident())
        with conductor.changed:
            self.has_ended, conductor.turn = True, None
            conductor.changed.notify_all()

    def raise_interruption(self) -> None:
        """Raise what the model has thrown in."""
        if self.interruption is not None:
            interruption, self.interruption = self.interruption, None
            raise interruption

    def is_ready(self) -> bool:
        """Say whether the thread would run if it were let."""
        if self.has_ended:
            return False
        signal = self.signal
        return (
            signal is None
            or self.interruption is not None
            or not signal.is_locked
            or self._conductor.clock.now >= signal.ends_at
        )


class Signal:
    """Stands for `threading.Lock`: a wait for it ends when the conductor says so."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor
        self.is_locked = False
        self.ends_at = 0.0

    def acquire(self, *, timeout: float = -1) -> bool:
        """Wait until it is released, for `timeout` seconds of the model's clock at most (-1: without an end)."""
        if self.is_locked:
            self._park(timeout)
        has_acquired, self.is_locked = not self.is_locked, True
        return has_acquired

    def release(self) -> None:
        """End the wait of the thread that is parked here."""
        assert self.is_locked, "a waiter was told twice"
        self.is_locked = False

    def _park(self, timeout: float) -> None:
        conductor = self._conductor
        worker: Worker | None = getattr(conductor.current, "worker", None)
        assert worker is not None, "the main thread would wait for ever"
        self.ends_at = float("inf") if timeout < 0 else conductor.clock.now + timeout
        worker.signal = self
        conductor.yield_turn(worker)
        worker.signal = None
        worker.raise_interruption()


class Conductor:
    """Lets one thread run at a time; `turn` is the one that does, None the main thread."""

    def __init__(self, clock: ModelClock) -> None:
        self.clock = clock
        self.changed = threading.Condition()
        self.current = threading.local()
        self.turn: Worker | None = None
        self.workers: list[Worker] = []
        self.network_is_slow = False
        """Other threads run, up to the end of the step, whenever one would wait for the network."""
        self._started = 0

    def signal(self) -> Signal:
        """Make what the pool parks a thread on."""
        return Signal(self)

    def start(self, task: Callable[[], Any]) -> Worker:
        """Start a thread and let it run until it ends or waits."""
        self._started += 1
        worker = Worker(self, task, self._started)
        self.workers.append(worker)
        worker.thread.start()
        self._let_run(worker)
        return worker

    def settle(self, *, last_first: bool) -> None:
        """Let every thread run whose wait is over."""
        self.network_is_slow = False
        while ready := [worker for worker in self.workers if worker.is_ready()]:
            self._let_run(ready[-1 if last_first else 0])

    def reap(self) -> None:
        """Wait until those are gone that have ended."""
        ended = [worker for worker in self.workers if worker.has_ended]
        for worker in ended:
            worker.thread.join(TIMEOUT)
            assert not worker.thread.is_alive()
        self.workers = [worker for worker in self.workers if not worker.has_ended]

    def is_main(self) -> bool:
        """Say whether it is the main thread that asks."""
        return not hasattr(self.current, "worker")

    def do_io(self) -> None:
        """Let other threads run, as they do while one waits for the network."""
        if not self.network_is_slow:
            return
        if not self.is_main():
            worker: Worker = self.current.worker
            self.yield_turn(worker)
            worker.raise_interruption()
            return
        for ready in [worker for worker in self.workers if worker.is_ready()]:
            self._let_run(ready)

    def wait_until(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until a condition holds, which changes with `changed` only; `changed` must be held."""
        while not condition():
            if not self.changed.wait(timeout):
                return condition()
        return True

    def yield_turn(self, worker: Worker) -> None:
        """Let the main thread run, until it lets `worker` run again."""
        with self.changed:
            self.turn = None
            self.changed.notify_all()
            self.wait_until(lambda: self.turn is worker)

    def _let_run(self, worker: Worker) -> None:
        with self.changed:
            self.turn = worker
            self.changed.notify_all()
            assert self.wait_until(lambda: self.turn is None, TIMEOUT), "a thread is blocked"


class ThreadingOfTheModel:
    """Stands for the module `threading` in the module that parks waiters: its locks are the conductor's."""

    def __init__(self, conductor: Conductor) -> None:
        self.Lock = conductor.signal

    def __getattr__(self, name: str) -> Any:
        return getattr(threading, name)
