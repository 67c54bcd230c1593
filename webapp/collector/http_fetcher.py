"""Calls to a source: reserved before they are made, of bounded size and duration, retried with jitter."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
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
CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 30.0
"""Seconds in which the source must send more; a whole response may take twice as long."""
MAX_ATTEMPTS = 6
INITIAL_BACKOFF = 0.5
MAX_BACKOFF = 20.0
MAX_RETRY_AFTER = 300.0
"""Seconds of Retry-After up to which a call waits and is retried."""
MAX_SLEEP = 1.0
"""Seconds after which a waiting thread checks whether it should stop."""


class DailyLimitReachedError(Exception):
    """The source may not be called before `resets_at`."""

    def __init__(self, resets_at: datetime) -> None:
        """Name the time of the next call."""
        super().__init__(f"no call before {resets_at}")
        self.resets_at = resets_at


class RunStoppedError(Exception):
    """The run ends; nothing more is fetched."""


def create_client(contact: str | None) -> httpx2.Client:
    """Return a client whose User-Agent names Poolproof and `contact`, the address of the installation's operator."""
    suffix = f"; {contact}" if contact else ""
    agent = f"Poolproof/{version('poolproof-quiz')} (question collector{suffix})"
    timeout = httpx2.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT)
    return httpx2.Client(timeout=timeout, headers={"User-Agent": agent}, follow_redirects=False)


class HttpFetcher:
    """The `Fetch` of one run, for all its threads."""

    def __init__(
        self, work: UnitOfWork, source: str, limits: SourceLimits, http: httpx2.Client, is_stopping: Callable[[], bool]
    ) -> None:
        """Reserve calls with connections of `work`, which are returned to the pool before the call is made."""
        self._work = work
        self._source = source
        self._limits = limits
        self._http = http
        self._is_stopping = is_stopping
        # One thread of this process queries the quota at a time; the others would get the same result.
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
        """As `sources.base.Fetch`.

        Raises:
            FetchError, RateLimitedError: as there.
            DailyLimitReachedError: when today's calls are used up.
            RunStoppedError: when the run ends.
        """
        if not idempotent:
            return self._call_once(address, parameters or {}, headers or {})
        return self._call_with_retries(lambda: self._call_checked(address, parameters or {}, headers or {}))

    def drain_call_count(self) -> int:
        """Return how many calls were made since the last call of this method."""
        with self._calls_lock:
            calls, self._calls = self._calls, 0
        return calls

    def back_off(self, seconds: float | None) -> None:
        """Let no process call the source for so many seconds, at least for its spacing."""
        delay = max(seconds or 0.0, self._limits.spacing, INITIAL_BACKOFF)
        self._transact_quota(lambda connection: quota.back_off(connection, self._source, delay))

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
        response = self._call_once(address, parameters, headers)
        reason = f"HTTP {response.status} from {_without_query(address)}"
        if response.status == HTTPStatus.TOO_MANY_REQUESTS:
            self.back_off(response.retry_after)
            raise RateLimitedError(reason, retry_after=response.retry_after)
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            if response.retry_after is not None:
                self.back_off(response.retry_after)
            raise FetchError(reason, transient=True, retry_after=response.retry_after)
        return response

    def _call_once(self, address: str, parameters: Mapping[str, str], headers: Mapping[str, str]) -> SourceResponse:
        permit, expires_at = self._acquire_permit()
        try:
            blocking_guard.assert_no_connection_held(f"calling {_without_query(address)}")
            if time.monotonic() > expires_at:
                # This process was delayed; the call of another one may be due by now. Nothing was sent.
                raise RateLimitedError("The permit for the call has expired.")
            return self._send(address, parameters, headers)
        finally:
            self._release_permit(permit)

    def _acquire_permit(self) -> tuple[Permit, float]:
        """Wait for a permit; return it and when it expires."""
        with self._quota_lock:
            while True:
                if self._is_stopping():
                    raise RunStoppedError
                requested_at = time.monotonic()
                decision = self._transact_quota(
                    lambda connection: quota.acquire(connection, self._source, self._limits)
                )
                if isinstance(decision, DailyLimitReached):
                    raise DailyLimitReachedError(decision.resets_at)
                expires_at = requested_at + rate_policy.permit_ttl(self._limits)
                if isinstance(decision, RetryAfter):
                    time.sleep(min(decision.seconds, MAX_SLEEP))
                elif time.monotonic() < expires_at:
                    with self._calls_lock:
                        self._calls += 1
                    CALLS.increment(self._source)
                    return decision, expires_at
                else:
                    self._release_permit(decision)

    def _release_permit(self, permit: Permit) -> None:
        self._transact_quota(lambda connection: quota.release(connection, self._source, permit, self._limits))

    def _transact_quota(self, operation: Callable[[Connection], Result]) -> Result:
        # Idempotent, because a repeated reservation only costs a call.
        return retry_on_db_errors(lambda: self._work.run_in_transaction(operation, idempotent=True), self._is_stopping)

    def _send(self, address: str, parameters: Mapping[str, str], headers: Mapping[str, str]) -> SourceResponse:
        deadline = time.monotonic() + 2 * READ_TIMEOUT
        try:
            with self._http.stream("GET", address, params=dict(parameters) or None, headers=dict(headers)) as response:
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > MAX_RESPONSE_BYTES:
                        raise FetchError(
                            f"{_without_query(address)} sends more than {MAX_RESPONSE_BYTES >> 20} MiB in one response"
                        )
                    if time.monotonic() > deadline:
                        raise FetchError(f"{_without_query(address)} sends too slowly", transient=True)
                names = {name.lower(): value for name, value in response.headers.items()}
                return SourceResponse(response.status_code, names, bytes(body))
        except httpx2.InvalidURL as error:
            raise FetchError(f"{_without_query(address)} is no address: {error}") from error
        except httpx2.HTTPError as error:
            cause = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise FetchError(f"{_without_query(address)} did not answer ({cause})", transient=True) from error


def _should_retry(error: Exception) -> bool | float:
    if not isinstance(error, FetchError) or not error.transient:
        return False
    if error.retry_after is None:
        return True
    # The quota allows no call before; a shorter wait would be useless.
    return error.retry_after if error.retry_after <= MAX_RETRY_AFTER else False


def _without_query(address: str) -> str:
    """Return an address without its query, which may hold a token."""
    return address.partition("?")[0]
