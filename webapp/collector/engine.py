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

import httpx
from sqlalchemy import Connection

from webapp.collector import progress, runs
from webapp.collector.courtesy import Courtesy
from webapp.collector.fetching import Fetcher, QuotaSpentError, StoppedError
from webapp.collector.patience import persistently
from webapp.collector.progress import LostRunError, Place, Step
from webapp.collector.runs import Run, Status
from webapp.collector.sources.protocol import FetchError, LimitedError, Page, Source, Strand
from webapp.pooling.background import BackgroundThread
from webapp.pooling.clock import present_time
from webapp.pooling.work import Work

log = logging.getLogger(__name__)

BEATS_EVERY = 2.0
LOOKS_EVERY = 0.2
"""Seconds between looks of the writer whether it should stop."""
ENDS_WITHIN = 3.0
ERRORS_TOLD = 5

Result = TypeVar("Result")
Tell = Callable[[Run], None]


@dataclass(frozen=True)
class _Failed:
    """What ended a thread's work on a strand."""

    strand: Strand
    error: Exception


class Engine:
    """Carries out one run in this process."""

    def __init__(
        self,
        work: Work,
        http: httpx.Client,
        source: Source,
        run: Run,
        tell: Tell | None = None,
        *,
        courtesy: Courtesy | None = None,
    ) -> None:
        """Store with connections of `work`; `tell` hears of every page that is stored."""
        self._courtesy = courtesy or Courtesy(None)
        self._work = work
        self._source = source
        self._run = run
        self._tell = tell
        self._is_stopping = threading.Event()
        self._fetch = Fetcher(work, source.name, source.limits, http, self._is_stopping.is_set)
        self._todo: queue.SimpleQueue[Place | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Step | _Failed] = queue.SimpleQueue()
        self._pulse = BackgroundThread(f"collection-{run.id}", self._beat)

    def stop(self) -> None:
        """Let the run end soon; for another thread, or a signal."""
        self._is_stopping.set()

    def execute(self, stopped: Status = Status.CANCELLED) -> Run:
        """Carry out the run until its end, and return how it stands; when it is stopped it becomes `stopped`."""
        self._pulse.wake()
        try:
            self._collect(self._places(), stopped)
        except LostRunError:
            log.info("Run %s is not ours any more", self._run.id)
        except StoppedError:
            self._end(stopped)
        except QuotaSpentError as spent:
            self._end(Status.PAUSED, until=spent.until)
        except FetchError as error:
            self._end(Status.FAILED, error=f"What there is to collect could not be listed: {error.reason}")
        finally:
            self._is_stopping.set()
            self._pulse.stop()
        return self._present()

    def _places(self) -> Sequence[Place]:
        with self._work.read() as connection:
            known = progress.places(connection, self._run)
        if known is not None:
            # A page may have been fetched and not stored.
            return [replace(place, strand=self._source.resumed(place.strand)) for place in known]
        strands = self._unhurried(lambda: self._source.strands(self._fetch))
        return self._transact(lambda connection: progress.begin(connection, self._run, strands))

    def _collect(self, places: Sequence[Place], stopped: Status) -> None:
        threads = [
            threading.Thread(target=self._fetching, name=f"fetch-{number}", daemon=True)
            for number in range(min(self._source.limits.concurrency, len(places)))
        ]
        for place in places:
            self._todo.put(place)
        for thread in threads:
            thread.start()
        try:
            failed = self._write(len(places))
        finally:
            self._is_stopping.set()
            for _ in threads:
                self._todo.put(None)
            for thread in threads:
                thread.join(ENDS_WITHIN / len(threads))
        if failed is None:
            self._end(stopped)
            return
        spent = [one.error.until for one in failed if isinstance(one.error, QuotaSpentError)]
        if spent:
            self._end(Status.PAUSED, until=max(spent))
        elif failed:
            self._end(Status.FAILED, error=_told(failed))
        else:
            self._end(Status.FINISHED)

    def _write(self, under_way: int) -> list[_Failed] | None:
        """Store what the threads fetch until all strands have ended; return those that failed, None when stopped."""
        failed: list[_Failed] = []
        while under_way:
            if self._is_stopping.is_set():
                return None
            try:
                got = self._done.get(timeout=LOOKS_EVERY)
            except queue.Empty:
                continue
            if isinstance(got, _Failed):
                failed.append(got)
                under_way -= 1
            elif (further := self._store(got)) is not None:
                self._todo.put(further)
            else:
                under_way -= 1
        return failed

    def _fetching(self) -> None:
        while (place := self._todo.get()) is not None:
            try:
                self._done.put(Step(place, self._page(place.strand)))
            except StoppedError:
                return
            except Exception as error:
                if not isinstance(error, FetchError | QuotaSpentError):
                    log.exception("Fetching %s met with an error", place.strand.key)
                self._done.put(_Failed(place.strand, error))

    def _page(self, strand: Strand) -> Page:
        return self._unhurried(lambda: self._source.page(self._fetch, strand))

    def _unhurried(self, ask: Callable[[], Result]) -> Result:
        while True:
            if self._is_stopping.is_set():
                raise StoppedError
            try:
                return ask()
            except LimitedError as limited:
                # It has done nothing: the very same call is good later, however often.
                self._fetch.leave_alone(limited.retry_after)

    def _store(self, step: Step) -> Place | None:
        self._courtesy.wait(self._is_stopping.is_set)
        calls = self._fetch.taken()

        def store(connection: Connection) -> dict[str, int]:
            now = present_time(connection)
            return progress.store(connection, self._run, self._source, step, calls=calls, now=now)

        for outcome, count in self._transact(store).items():
            progress.RECORDS.count(self._source.name, outcome, by=count)
        if self._tell is not None:
            self._tell(self._present())
        return progress.went_on(step.page.state, step.place)

    def _present(self) -> Run:
        with self._work.read() as connection:
            return runs.find(connection, self._run.id)

    def _transact(self, deed: Callable[[Connection], Result]) -> Result:
        return persistently(lambda: self._work.transact(deed, idempotent=True), self._is_stopping.is_set)

    def _beat(self) -> float:
        try:
            self._work.transact(lambda connection: progress.heartbeat(connection, self._run))
        except LostRunError:
            self._is_stopping.set()
        return BEATS_EVERY

    def _end(self, status: Status, *, error: str | None = None, until: datetime | None = None) -> None:
        calls = self._fetch.taken()
        with suppress(LostRunError):
            persistently(
                lambda: self._work.transact(
                    lambda connection: progress.end(connection, self._run, status, calls, error=error, until=until),
                    idempotent=True,
                ),
                lambda: False,
            )


def _told(failed: Sequence[_Failed]) -> str:
    reasons = [f"{one.strand.title or one.strand.key}: {one.error or type(one.error).__name__}" for one in failed]
    more = f" … and {len(reasons) - ERRORS_TOLD} more" if len(reasons) > ERRORS_TOLD else ""
    return f"Not everything could be collected. {'; '.join(reasons[:ERRORS_TOLD])}{more}"
