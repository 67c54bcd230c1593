"""Carrying out a run: threads fetch, one writer stores; what is stored is never fetched again.

A strand's next page is asked for only when its last one is committed, so at most one page a strand is in memory, and
a run that is killed goes on behind the last commit. Other strands are fetched meanwhile.
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
"""Seconds between looks of the writer whether it should stop."""
STOP_TIMEOUT = 3.0
MAX_REPORTED_ERRORS = 5

Result = TypeVar("Result")
ProgressCallback = Callable[[Run], None]


@dataclass(frozen=True)
class _FetchFailure:
    """What ended a thread's work on a strand."""

    partition: Partition
    error: Exception


class RunExecutor:
    """Carries out one run in this process."""

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
        """Store with connections of `work`; `tell` hears of every page that is stored."""
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
        """Let the run end soon; for another thread, or a signal."""
        self._is_stopping.set()

    def execute(self, status_if_stopped: Status = Status.CANCELLED) -> Run:
        """Carry out the run until its end, and return how it stands; when it is stopped it becomes `stopped`."""
        self._heartbeat_thread.wake()
        try:
            self._collect(self._pending_partitions(), status_if_stopped)
        except LostRunError:
            log.info("Run %s is not ours any more", self._run.id)
        except RunStoppedError:
            self._end(status_if_stopped)
        except DailyLimitReachedError as spent:
            self._end(Status.PAUSED, resumes_at=spent.resets_at)
        except FetchError as error:
            self._end(Status.FAILED, error=f"What there is to collect could not be listed: {error.reason}")
        finally:
            self._is_stopping.set()
            self._heartbeat_thread.stop()
        return self._read_run()

    def _pending_partitions(self) -> Sequence[PendingPartition]:
        with self._work.read() as connection:
            known = run_store.pending_partitions(connection, self._run)
        if known is not None:
            # A page may have been fetched and not stored.
            return [replace(place, partition=self._source.resume_partition(place.partition)) for place in known]
        strands = self._retry_rate_limited(lambda: self._source.list_partitions(self._fetch))
        return self._transact(lambda connection: run_store.create_partitions(connection, self._run, strands))

    def _collect(self, pending: Sequence[PendingPartition], status_if_stopped: Status) -> None:
        threads = [
            threading.Thread(target=self._run_fetch_thread, name=f"fetch-{number}", daemon=True)
            for number in range(min(self._source.limits.concurrency, len(pending)))
        ]
        for place in pending:
            self._pending.put(place)
        for thread in threads:
            thread.start()
        try:
            failed = self._store_results(len(pending))
        finally:
            self._is_stopping.set()
            for _ in threads:
                self._pending.put(None)
            for thread in threads:
                thread.join(STOP_TIMEOUT / len(threads))
        if failed is None:
            self._end(status_if_stopped)
            return
        spent = [one.error.resets_at for one in failed if isinstance(one.error, DailyLimitReachedError)]
        if spent:
            self._end(Status.PAUSED, resumes_at=max(spent))
        elif failed:
            self._end(Status.FAILED, error=_failure_message(failed))
        else:
            self._end(Status.FINISHED)

    def _store_results(self, under_way: int) -> list[_FetchFailure] | None:
        """Store what the threads fetch until all strands have ended; return those that failed, None when stopped."""
        failed: list[_FetchFailure] = []
        while under_way:
            if self._is_stopping.is_set():
                return None
            try:
                got = self._results.get(timeout=POLL_INTERVAL)
            except queue.Empty:
                continue
            if isinstance(got, _FetchFailure):
                failed.append(got)
                under_way -= 1
            elif (further := self._store(got)) is not None:
                self._pending.put(further)
            else:
                under_way -= 1
        return failed

    def _run_fetch_thread(self) -> None:
        while (place := self._pending.get()) is not None:
            try:
                self._results.put(FetchResult(place, self._fetch_page(place.partition)))
            except RunStoppedError:
                return
            except Exception as error:
                if not isinstance(error, FetchError | DailyLimitReachedError):
                    log.exception("Fetching %s met with an error", place.partition.key)
                self._results.put(_FetchFailure(place.partition, error))

    def _fetch_page(self, partition: Partition) -> RecordPage:
        return self._retry_rate_limited(lambda: self._source.fetch_page(self._fetch, partition))

    def _retry_rate_limited(self, operation: Callable[[], Result]) -> Result:
        while True:
            if self._is_stopping.is_set():
                raise RunStoppedError
            try:
                return operation()
            except RateLimitedError as limited:
                # It has done nothing: the very same call is good later, however often.
                self._fetch.back_off(limited.retry_after)

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

    def _transact(self, operation: Callable[[Connection], Result]) -> Result:
        return retry_on_db_errors(
            lambda: self._work.run_in_transaction(operation, idempotent=True), self._is_stopping.is_set
        )

    def _heartbeat(self) -> float:
        try:
            self._work.run_in_transaction(lambda connection: run_store.heartbeat(connection, self._run))
        except LostRunError:
            self._is_stopping.set()
        return HEARTBEAT_INTERVAL

    def _end(self, status: Status, *, error: str | None = None, resumes_at: datetime | None = None) -> None:
        calls = self._fetch.drain_call_count()
        with suppress(LostRunError):
            retry_on_db_errors(
                lambda: self._work.run_in_transaction(
                    lambda connection: run_store.end_run(
                        connection, self._run, status, calls, error=error, resumes_at=resumes_at
                    ),
                    idempotent=True,
                ),
                lambda: False,
            )


def _failure_message(failures: Sequence[_FetchFailure]) -> str:
    reasons = [
        f"{one.partition.title or one.partition.key}: {one.error or type(one.error).__name__}" for one in failures
    ]
    more = f" … and {len(reasons) - MAX_REPORTED_ERRORS} more" if len(reasons) > MAX_REPORTED_ERRORS else ""
    return f"Not everything could be collected. {'; '.join(reasons[:MAX_REPORTED_ERRORS])}{more}"
