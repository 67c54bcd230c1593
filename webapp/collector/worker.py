"""Workers: processes that execute collection runs, one after the other."""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
from collections.abc import Callable

import httpx2
from sqlalchemy.exc import SQLAlchemyError

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.collector import runs
from webapp.collector.load_throttle import LoadThrottle
from webapp.collector.run_executor import ProgressCallback, RunExecutor
from webapp.collector.runs import Run, Status
from webapp.collector.sources.registry import SourceRegistry
from webapp.errors import DomainError

log = logging.getLogger(__name__)

POLL_INTERVAL = 2.0
"""Seconds between attempts to claim a run; with jitter, so that idle workers do not query at the same time."""


def worker_name() -> str:
    """Return this process's name among workers."""
    return f"{socket.gethostname()}:{os.getpid()}"


class CollectionWorker:
    """Claims and executes runs until it is stopped."""

    def __init__(self, work: UnitOfWork, http: httpx2.Client, sources: SourceRegistry, throttle: LoadThrottle) -> None:
        """Execute runs of `sources` with connections of `work`."""
        self._work = work
        self._http = http
        self._sources = sources
        self._throttle = throttle
        self._is_stopping = threading.Event()
        self._executor: RunExecutor | None = None

    def stop(self) -> None:
        """End soon; the present run is returned to the queue."""
        self._is_stopping.set()
        if self._executor is not None:
            self._executor.stop()

    def run_forever(self, is_orphaned: Callable[[], bool] = lambda: False) -> None:
        """Execute runs until `stop` is called, or until the parent of this process has ended."""
        while not self._is_stopping.is_set() and not is_orphaned():
            try:
                run = self._work.run_in_transaction(lambda connection: runs.claim_run(connection, worker_name()))
                if run is not None:
                    self.execute(run, status_if_stopped=Status.QUEUED)
                    continue
            except SQLAlchemyError as error:
                log.warning("The database is unavailable, trying again soon: %s", error)
            self._is_stopping.wait(POLL_INTERVAL * random.uniform(0.5, 1.5))  # noqa: S311 - jitter, no secret

    def execute(
        self, run: Run, *, status_if_stopped: Status = Status.CANCELLED, on_progress: ProgressCallback | None = None
    ) -> Run:
        """Execute a claimed run; when it is stopped, it gets the status `status_if_stopped`."""
        log.info("Run %s of %s is claimed", run.id, run.source)
        try:
            source = self._sources.find(run.source)
        except DomainError as error:
            reason = error.detail
            return self._work.run_in_transaction(lambda connection: runs.fail_run(connection, run, reason))
        self._executor = RunExecutor(self._work, self._http, source, run, on_progress, throttle=self._throttle)
        if self._is_stopping.is_set():
            self._executor.stop()
        try:
            result = self._executor.execute(status_if_stopped)
        finally:
            self._executor = None
        log.info("Run %s of %s is %s", run.id, run.source, result.status)
        return result
