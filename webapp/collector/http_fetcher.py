"""Calls to a source: in turn, counted before they are made, bounded, tried again with jitter."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib.metadata import version
from typing import TypeVar

import httpx2
import stamina
from sqlalchemy import Connection

from poolproof.leaks import blocking_guard
from poolproof.metrics import counters
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.collector import quota, rate_policy
from webapp.collector.db_retry import retry_on_db_errors
from webapp.collector.quota import Permit
from webapp.collector.rate_policy import DailyLimitReached, RetryAfter
from webapp.collector.sources.base import FetchError, RateLimitedError, SourceLimits, SourceResponse

Result = TypeVar("Result")

CALLS = counters.declare("poolproof_collector_calls", "Calls to sources.", ("source",))
MAX_RESPONSE_BYTES = 16 * 1024 * 1024
"""Bytes."""
CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 30.0
"""Seconds in which the source has to go on sending; a whole reply has twice as long."""
MAX_ATTEMPTS = 6
INITIAL_BACKOFF = 0.5
MAX_BACKOFF = 20.0
MAX_RETRY_AFTER = 300.0
"""Seconds of Retry-After that are waited for inside a call."""
TOO_MANY_REQUESTS = 429
SERVER_ERROR = 500
MAX_SLEEP = 1.0
"""Seconds after which a sleeper looks whether it should stop."""


class DailyLimitReachedError(Exception):
    """The source may not be called before `until`."""

    def __init__(self, resets_at: datetime) -> None:
        """Say until when."""
        super().__init__(f"no call before {resets_at}")
        self.resets_at = resets_at


class RunStoppedError(Exception):
    """The run ends; nothing more is fetched."""


def create_client(contact: str | None) -> httpx2.Client:
    """Return a client that says who is calling; `contact` is an address at which a person answers."""
    reached = f"; {contact}" if contact else ""
    agent = f"Poolproof/{version('poolproof')} (question collector{reached})"
    timeout = httpx2.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT)
    return httpx2.Client(timeout=timeout, headers={"User-Agent": agent}, follow_redirects=False)


class HttpFetcher:
    """The `Fetch` of one run: any of its threads may call."""

    def __init__(
        self, work: UnitOfWork, source: str, limits: SourceLimits, http: httpx2.Client, is_stopping: Callable[[], bool]
    ) -> None:
        """Reserve calls with `work`'s connections, which are given back before the call is made."""
        self._work = work
        self._source = source
        self._limits = limits
        self._http = http
        self._is_stopping = is_stopping
        # Of this process one thread asks the ledger; the others would only find the same.
        self._quota_lock = threading.Lock()
        self._calls_lock = threading.Lock()
        self._calls = 0
        work.run_in_transaction(lambda connection: quota.ensure_row(connection, source))

    def __call__(
        self,
        address: str,
        parameters: Mapping[str, str] | None = None,
        *,
        idempotent: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> SourceResponse:
        """As `sources.protocol.Fetch`.

        Raises:
            FetchError, RateLimitedError: as there.
            DailyLimitReachedError: when no call is left for today.
            RunStoppedError: when the run ends.
        """
        if not idempotent:
            return self._call_once(address, parameters or {}, headers or {})
        return self._call_with_retries(lambda: self._call_checked(address, parameters or {}, headers or {}))

    def drain_call_count(self) -> int:
        """Return how many calls were made since this was asked last."""
        with self._calls_lock:
            calls, self._calls = self._calls, 0
        return calls

    def back_off(self, seconds: float | None) -> None:
        """Let no process call the source for so many seconds, or for its spacing if nothing was said."""
        rest = max(seconds or 0.0, self._limits.spacing, INITIAL_BACKOFF)
        self._transact_quota(lambda connection: quota.back_off(connection, self._source, rest))

    def _call_with_retries(self, call: Callable[[], SourceResponse]) -> SourceResponse:
        retrying = stamina.retry_context(
            on=_should_retry,
            attempts=MAX_ATTEMPTS,
            timeout=None,
            wait_initial=INITIAL_BACKOFF,
            wait_max=MAX_BACKOFF,
            wait_jitter=INITIAL_BACKOFF,
        )
        for attempt in retrying:
            with attempt:
                if self._is_stopping():
                    raise RunStoppedError
                return call()
        raise AssertionError("stamina returns or raises")

    def _call_checked(self, address: str, parameters: Mapping[str, str], headers: Mapping[str, str]) -> SourceResponse:
        reply = self._call_once(address, parameters, headers)
        if reply.status == TOO_MANY_REQUESTS:
            self.back_off(reply.retry_after)
            raise RateLimitedError(
                f"HTTP {TOO_MANY_REQUESTS} from {_without_query(address)}", retry_after=reply.retry_after
            )
        if reply.status >= SERVER_ERROR:
            if reply.retry_after is not None:
                self.back_off(reply.retry_after)
            reason = f"HTTP {reply.status} from {_without_query(address)}"
            raise FetchError(reason, transient=True, retry_after=reply.retry_after)
        return reply

    def _call_once(self, address: str, parameters: Mapping[str, str], headers: Mapping[str, str]) -> SourceResponse:
        turn, good_until = self._acquire_permit()
        try:
            blocking_guard.assert_no_connection_held(f"calling {_without_query(address)}")
            if time.monotonic() > good_until:
                # Something has held this process up; another's call may be due by now. Nothing was asked.
                raise RateLimitedError("The call would have come too late for its turn.")
            return self._send(address, parameters, headers)
        finally:
            self._release_permit(turn)

    def _acquire_permit(self) -> tuple[Permit, float]:
        """Wait for a turn; return it and until when it is good."""
        with self._quota_lock:
            while True:
                if self._is_stopping():
                    raise RunStoppedError
                asked_at = time.monotonic()
                answer = self._transact_quota(lambda connection: quota.acquire(connection, self._source, self._limits))
                if isinstance(answer, DailyLimitReached):
                    raise DailyLimitReachedError(answer.resets_at)
                good_until = asked_at + rate_policy.permit_ttl(self._limits)
                if isinstance(answer, RetryAfter):
                    time.sleep(min(answer.seconds, MAX_SLEEP))
                elif time.monotonic() < good_until:
                    with self._calls_lock:
                        self._calls += 1
                    CALLS.increment(self._source)
                    return answer, good_until
                else:
                    self._release_permit(answer)

    def _release_permit(self, permit: Permit) -> None:
        self._transact_quota(lambda connection: quota.release(connection, self._source, permit, self._limits))

    def _transact_quota(self, operation: Callable[[Connection], Result]) -> Result:
        # To reserve twice where it is not known whether the first was committed costs a call, no more.
        return retry_on_db_errors(lambda: self._work.run_in_transaction(operation, idempotent=True), self._is_stopping)

    def _send(self, address: str, parameters: Mapping[str, str], headers: Mapping[str, str]) -> SourceResponse:
        gives_up_at = time.monotonic() + 2 * READ_TIMEOUT
        try:
            with self._http.stream("GET", address, params=dict(parameters) or None, headers=dict(headers)) as answer:
                body = bytearray()
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > MAX_RESPONSE_BYTES:
                        raise FetchError(
                            f"{_without_query(address)} sends more than {MAX_RESPONSE_BYTES >> 20} MiB in one reply"
                        )
                    if time.monotonic() > gives_up_at:
                        raise FetchError(f"{_without_query(address)} sends too slowly", transient=True)
                names = {name.lower(): value for name, value in answer.headers.items()}
                return SourceResponse(answer.status_code, names, bytes(body))
        except httpx2.InvalidURL as error:
            raise FetchError(f"{_without_query(address)} is no address: {error}") from error
        except httpx2.HTTPError as error:
            what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise FetchError(f"{_without_query(address)} did not answer ({what})", transient=True) from error


def _should_retry(error: Exception) -> bool | float:
    if not isinstance(error, FetchError) or not error.transient:
        return False
    if error.retry_after is None:
        return True
    # The ledger holds everybody back so long; here it must not be undercut.
    return error.retry_after if error.retry_after <= MAX_RETRY_AFTER else False


def _without_query(address: str) -> str:
    """Return an address without its query, which may hold a token."""
    return address.partition("?")[0]
