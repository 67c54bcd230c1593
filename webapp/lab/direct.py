"""Runs a workload of statements on our pool and watches the machine meanwhile."""

from __future__ import annotations

import time

from sqlalchemy import create_engine, make_url

from webapp.lab import witness
from webapp.lab.figures import Load, Measured, Setting, Timed, summed_up
from webapp.lab.subject import Subject
from webapp.lab.workload import Workload
from webapp.pooling.engine import engine_options, prepare_engine
from webapp.pooling.lanes import console_settings
from webapp.pooling.settings import PoolSettings
from webapp.pooling.work import Work


def witness_of(url: str, pool: PoolSettings) -> Work:
    """Return one connection of the lab's own, with which it asks the server what is busy."""
    settings = console_settings(pool)
    engine = create_engine(url, **engine_options(settings, make_url(url), 1))
    prepare_engine(engine, settings, "witness")
    return Work(engine)


class Direct:
    """A workload, measured in a process of its own; its threads are the clients."""

    settles = 0.0
    overhead = 0.6
    """Seconds that a run takes beside what is measured."""

    def __init__(self, url: str, workload: Workload, pool: PoolSettings) -> None:
        """Start the process and make the workload's tables.

        Raises:
            SubjectError: when they cannot be made.
        """
        self._work = witness_of(url, pool)
        self._subject = Subject(url, workload, pool)
        self._server = witness.server_process(self._work)

    def measure(self, setting: Setting, load: Load) -> Measured:
        """Measure one run.

        Raises:
            SubjectError: when it cannot be run.
        """
        starts_at = self._subject.begin(setting, load)
        until(starts_at + load.warm_up)
        before = witness.look(self._work, [self._subject.pid], self._server)
        until(starts_at + load.warm_up + load.seconds)
        after = witness.look(self._work, [self._subject.pid], self._server)
        timed = self._subject.end()
        seen = witness.between(before, after, setting, setting.threads, pool_share(timed))
        return summed_up(setting, load, timed, starts_at, clients=setting.threads, seen=seen)

    def close(self) -> None:
        """End the process and give back the connection."""
        self._subject.close()
        self._work.engine.dispose()


def pool_share(timed: list[Timed]) -> float | None:
    """Return the share of the operations' time that went by waiting for a connection."""
    seconds = sum(one.seconds for one in timed if one.is_well)
    return sum(one.wait for one in timed if one.is_well) / seconds if seconds else None


def until(moment: float) -> None:
    """Sleep until a moment on the monotonic clock."""
    time.sleep(max(0.0, moment - time.monotonic()))
