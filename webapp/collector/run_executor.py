"""Execute a run: several threads fetch pages, one thread stores them; what is stored is never fetched again.

A partition's next page is fetched only when its last one is committed. So at most one page of each partition is in
memory, and a killed run continues after its last commit. Other partitions are fetched meanwhile.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

import httpx2
from sqlalchemy import Connection

from poolproof.runtime.periodic_thread import PeriodicThread
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.collector import run_store, runs
from webapp.collector.db_retry import retry_on_db_errors
from webapp.collector.http_fetcher import DailyLimitReachedError, HttpFetcher, RunStoppedError
from webapp.collector.load_throttle import LoadThrottle
from webapp.collector.run_store import FetchResult, LostRunError, PendingPartition
from webapp.collector.runs import Run, Status
from webapp.collector.sources.base import FetchError, Partition, RateLimitedError, RecordPage, Source
from webapp.db.timestamps import database_now

log = logging.getLogger(__name__)

HEARTBEAT_INTERVAL = 2.0
POLL_INTERVAL = 0.2
"""Seconds after which the storing thread checks whether it should stop."""
STOP_TIMEOUT = 3.0
MAX_REPORTED_ERRORS = 5

Result = TypeVar("Result")
ProgressCallback = Callable[[Run], None]


@dataclass(frozen=True)
class _FetchFailure:
    """The error that ended a thread's work on a partition."""

    partition: Partition
    error: Exception


class RunExecutor:
    """Executes one run in this process."""

    def __init__(
        self,
        work: UnitOfWork,
        http: httpx2.Client,
        source: Source,
        run: Run,
        on_progress: ProgressCallback | None = None,
        *,
        throttle: LoadThrottle | None = None,
    ) -> None:
        """Store with connections of `work`; `on_progress` is called after every page that is stored."""
        self._throttle = throttle or LoadThrottle(None)
        self._work = work
        self._source = source
        self._run = run
        self._on_progress = on_progress
        self._is_stopping = threading.Event()
        self._fetch = HttpFetcher(work, source.name, source.limits, http, self._is_stopping.is_set)
        self._pending: queue.SimpleQueue[PendingPartition | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[FetchResult | _FetchFailure] = queue.SimpleQueue()
        self._heartbeat_thread = PeriodicThread(f"collection-{run.id}", self._heartbeat)

    def stop(self) -> None:
        """Make the run end soon; called by another thread or a signal handler."""
        self._is_stopping.set()

    def execute(self, status_if_stopped: Status = Status.CANCELLED) -> Run:
        """Execute the run until its end and return it; a stopped run gets the status `status_if_stopped`."""
        self._heartbeat_thread.wake()
        try:
            self._collect(self._pending_partitions(), status_if_stopped)
        except LostRunError:
            log.info("Run %s no longer belongs to this worker", self._run.id)
        except RunStoppedError:
            self._end(status_if_stopped)
        except DailyLimitReachedError as limit:
            self._end(Status.PAUSED, resumes_at=limit.resets_at)
        except FetchError as error:
            self._end(Status.FAILED, error=f"The source's partitions could not be listed: {error.reason}")
        finally:
            self._is_stopping.set()
            self._heartbeat_thread.stop()
        return self._read_run()

    def _pending_partitions(self) -> Sequence[PendingPartition]:
        with self._work.read() as connection:
            pending = run_store.pending_partitions(connection, self._run)
        if pending is not None:
            # A page may have been fetched and not stored.
            return [replace(each, partition=self._source.resume_partition(each.partition)) for each in pending]
        partitions = self._retry_rate_limited(lambda: self._source.list_partitions(self._fetch))
        return self._transact(lambda connection: run_store.create_partitions(connection, self._run, partitions))

    def _collect(self, pending: Sequence[PendingPartition], status_if_stopped: Status) -> None:
        threads = [
            threading.Thread(target=self._run_fetch_thread, name=f"fetch-{number}", daemon=True)
            for number in range(min(self._source.limits.concurrency, len(pending)))
        ]
        for partition in pending:
            self._pending.put(partition)
        for thread in threads:
            thread.start()
        try:
            failures = self._store_results(len(pending))
        finally:
            self._is_stopping.set()
            for _ in threads:
                self._pending.put(None)
            for thread in threads:
                thread.join(STOP_TIMEOUT / len(threads))
        if failures is None:
            self._end(status_if_stopped)
        else:
            self._end_with_failures(failures)

    def _end_with_failures(self, failures: Sequence[_FetchFailure]) -> None:
        resets = [failure.error.resets_at for failure in failures if isinstance(failure.error, DailyLimitReachedError)]
        if resets:
            self._end(Status.PAUSED, resumes_at=max(resets))
        elif failures:
            self._end(Status.FAILED, error=_failure_message(failures))
        else:
            self._end(Status.FINISHED)

    def _store_results(self, active_count: int) -> list[_FetchFailure] | None:
        """Store the fetched pages until all partitions have ended; return the failures, None when stopped."""
        failures: list[_FetchFailure] = []
        while active_count:
            if self._is_stopping.is_set():
                return None
            try:
                result = self._results.get(timeout=POLL_INTERVAL)
            except queue.Empty:
                continue
            if isinstance(result, _FetchFailure):
                failures.append(result)
                active_count -= 1
            elif (pending := self._store(result)) is not None:
                self._pending.put(pending)
            else:
                active_count -= 1
        return failures

    def _run_fetch_thread(self) -> None:
        while (pending := self._pending.get()) is not None:
            try:
                self._results.put(FetchResult(pending, self._fetch_page(pending.partition)))
            except RunStoppedError:
                return
            except Exception as error:
                if not isinstance(error, FetchError | DailyLimitReachedError):
                    log.exception("Fetching %s failed", pending.partition.key)
                self._results.put(_FetchFailure(pending.partition, error))

    def _fetch_page(self, partition: Partition) -> RecordPage:
        return self._retry_rate_limited(lambda: self._source.fetch_page(self._fetch, partition))

    def _retry_rate_limited(self, operation: Callable[[], Result]) -> Result:
        while True:
            if self._is_stopping.is_set():
                raise RunStoppedError
            try:
                return operation()
            except RateLimitedError as limit:
                # The source has done nothing: the same call may be repeated later, any number of times.
                self._fetch.back_off(limit.retry_after)

    def _store(self, result: FetchResult) -> PendingPartition | None:
        self._throttle.wait(self._is_stopping.is_set)
        calls = self._fetch.drain_call_count()

        def store(connection: Connection) -> dict[str, int]:
            now = database_now(connection)
            return run_store.store_page(connection, self._run, self._source, result, calls=calls, now=now)

        for outcome, count in self._transact(store).items():
            run_store.RECORDS.increment(self._source.name, outcome, amount=count)
        if self._on_progress is not None:
            self._on_progress(self._read_run())
        return run_store.advance(result.page.state, result.pending)

    def _read_run(self) -> Run:
        with self._work.read() as connection:
            return runs.find(connection, self._run.id)

    def _transact(
        self, operation: Callable[[Connection], Result], is_stopping: Callable[[], bool] | None = None
    ) -> Result:
        return retry_on_db_errors(
            lambda: self._work.run_in_transaction(operation, idempotent=True), is_stopping or self._is_stopping.is_set
        )

    def _heartbeat(self) -> float:
        try:
            self._work.run_in_transaction(lambda connection: run_store.heartbeat(connection, self._run))
        except LostRunError:
            self._is_stopping.set()
        return HEARTBEAT_INTERVAL

    def _end(self, status: Status, *, error: str | None = None, resumes_at: datetime | None = None) -> None:
        calls = self._fetch.drain_call_count()

        def end(connection: Connection) -> None:
            run_store.end_run(connection, self._run, status, calls, error=error, resumes_at=resumes_at)

        with suppress(LostRunError):
            # Also while the run is stopping.
            self._transact(end, is_stopping=lambda: False)


def _failure_message(failures: Sequence[_FetchFailure]) -> str:
    reasons = [
        f"{failure.partition.title or failure.partition.key}: {failure.error or type(failure.error).__name__}"
        for failure in failures
    ]
    omitted = f" … and {len(reasons) - MAX_REPORTED_ERRORS} more" if len(reasons) > MAX_REPORTED_ERRORS else ""
    return f"Not everything could be collected. {'; '.join(reasons[:MAX_REPORTED_ERRORS])}{omitted}"
