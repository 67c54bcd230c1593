"""Workers: processes that carry out collection runs, one after the other."""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
from collections.abc import Callable

import httpx
from sqlalchemy.exc import SQLAlchemyError

from webapp.collector import runs
from webapp.collector.courtesy import Courtesy
from webapp.collector.engine import Engine, Tell
from webapp.collector.runs import Run, Status
from webapp.collector.sources.known import Sources
from webapp.errors import DomainError
from webapp.pooling.work import Work

log = logging.getLogger(__name__)

LOOKS_EVERY = 2.0
"""Seconds between looks for a run that waits; with jitter, so that idle workers do not look together."""


def name() -> str:
    """Return this process's name among workers."""
    return f"{socket.gethostname()}:{os.getpid()}"


class Worker:
    """Takes up runs until it is told to stop."""

    def __init__(self, work: Work, http: httpx.Client, sources: Sources, courtesy: Courtesy) -> None:
        """Carry out runs of `sources` with connections of `work`."""
        self._work = work
        self._http = http
        self._sources = sources
        self._courtesy = courtesy
        self._is_stopping = threading.Event()
        self._engine: Engine | None = None

    def stop(self) -> None:
        """End soon; the present run is given back to the queue."""
        self._is_stopping.set()
        if self._engine is not None:
            self._engine.stop()

    def work(self, is_orphaned: Callable[[], bool] = lambda: False) -> None:
        """Carry out runs until `stop`, or until who has started this process is gone."""
        while not self._is_stopping.is_set() and not is_orphaned():
            try:
                run = self._work.transact(lambda connection: runs.take(connection, name()))
                if run is not None:
                    self.carry_out(run, stopped=Status.QUEUED)
                    continue
            except SQLAlchemyError as error:
                log.warning("The database does not serve, looking again soon: %s", error)
            self._is_stopping.wait(LOOKS_EVERY * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, no secret

    def carry_out(self, run: Run, *, stopped: Status = Status.CANCELLED, tell: Tell | None = None) -> Run:
        """Carry out a run that was taken; when told to stop, leave it as `stopped`."""
        log.info("Run %s of %s is taken up", run.id, run.source)
        try:
            source = self._sources.find(run.source)
        except DomainError as error:
            reason = error.detail
            return self._work.transact(lambda connection: runs.give_up(connection, run, reason))
        self._engine = Engine(self._work, self._http, source, run, tell, courtesy=self._courtesy)
        if self._is_stopping.is_set():
            self._engine.stop()
        try:
            present = self._engine.execute(stopped)
        finally:
            self._engine = None
        log.info("Run %s of %s is %s", run.id, run.source, present.status)
        return present
