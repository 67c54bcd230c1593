"""Calls to a source: in turn, counted before they are made, bounded, tried again with jitter."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib.metadata import version
from typing import TypeVar

import httpx
import stamina
from sqlalchemy import Connection

from webapp.collector import ledger, pacing
from webapp.collector.ledger import Turn
from webapp.collector.pacing import Spent, Wait
from webapp.collector.patience import persistently
from webapp.collector.sources.protocol import FetchError, LimitedError, Limits, Reply
from webapp.pooling import guard, tally
from webapp.pooling.work import Work

Result = TypeVar("Result")

CALLS = tally.declare("poolproof_collector_calls", "Calls to sources.", ("source",))
LARGEST_REPLY = 16 * 1024 * 1024
"""Bytes."""
CONNECT_WITHIN = 10.0
REPLY_WITHIN = 30.0
"""Seconds in which the source has to go on sending; a whole reply has twice as long."""
TRIES = 6
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 20.0
WORTH_WAITING = 300.0
"""Seconds of Retry-After that are waited for inside a call."""
TOO_MANY = 429
FAULTS = 500
LONGEST_NAP = 1.0
"""Seconds after which a sleeper looks whether it should stop."""


class QuotaSpentError(Exception):
    """The source may not be called before `until`."""

    def __init__(self, until: datetime) -> None:
        """Say until when."""
        super().__init__(f"no call before {until}")
        self.until = until


class StoppedError(Exception):
    """The run ends; nothing more is fetched."""


def client(contact: str | None) -> httpx.Client:
    """Return a client that says who is calling; `contact` is an address at which a person answers."""
    reached = f"; {contact}" if contact else ""
    agent = f"Poolproof/{version('poolproof')} (question collector{reached})"
    timeout = httpx.Timeout(REPLY_WITHIN, connect=CONNECT_WITHIN)
    return httpx.Client(timeout=timeout, headers={"User-Agent": agent}, follow_redirects=False)


class Fetcher:
    """The `Fetch` of one run: any of its threads may call."""

    def __init__(
        self, work: Work, source: str, limits: Limits, http: httpx.Client, is_stopping: Callable[[], bool]
    ) -> None:
        """Reserve calls with `work`'s connections, which are given back before the call is made."""
        self._work = work
        self._source = source
        self._limits = limits
        self._http = http
        self._is_stopping = is_stopping
        # Of this process one thread asks the ledger; the others would only find the same.
        self._asking = threading.Lock()
        self._counting = threading.Lock()
        self._calls = 0
        work.transact(lambda connection: ledger.open_for(connection, source))

    def __call__(
        self,
        address: str,
        parameters: Mapping[str, str] | None = None,
        *,
        repeatable: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """As `sources.protocol.Fetch`.

        Raises:
            FetchError, LimitedError: as there.
            QuotaSpentError: when no call is left for today.
            StoppedError: when the run ends.
        """
        if not repeatable:
            return self._call(address, parameters or {}, headers or {})
        return self._persistently(lambda: self._checked(address, parameters or {}, headers or {}))

    def taken(self) -> int:
        """Return how many calls were made since this was asked last."""
        with self._counting:
            calls, self._calls = self._calls, 0
        return calls

    def leave_alone(self, seconds: float | None) -> None:
        """Let no process call the source for so many seconds, or for its spacing if nothing was said."""
        rest = max(seconds or 0.0, self._limits.spacing, FIRST_PAUSE)
        self._in_ledger(lambda connection: ledger.leave_alone(connection, self._source, rest))

    def _persistently(self, call: Callable[[], Reply]) -> Reply:
        retrying = stamina.retry_context(
            on=_worth_another_try,
            attempts=TRIES,
            timeout=None,
            wait_initial=FIRST_PAUSE,
            wait_max=LONGEST_PAUSE,
            wait_jitter=FIRST_PAUSE,
        )
        for attempt in retrying:
            with attempt:
                if self._is_stopping():
                    raise StoppedError
                return call()
        raise AssertionError("stamina returns or raises")

    def _checked(self, address: str, parameters: Mapping[str, str], headers: Mapping[str, str]) -> Reply:
        reply = self._call(address, parameters, headers)
        if reply.status == TOO_MANY:
            self.leave_alone(reply.retry_after)
            raise LimitedError(f"HTTP {TOO_MANY} from {_shown(address)}", retry_after=reply.retry_after)
        if reply.status >= FAULTS:
            if reply.retry_after is not None:
                self.leave_alone(reply.retry_after)
            reason = f"HTTP {reply.status} from {_shown(address)}"
            raise FetchError(reason, transient=True, retry_after=reply.retry_after)
        return reply

    def _call(self, address: str, parameters: Mapping[str, str], headers: Mapping[str, str]) -> Reply:
        turn, good_until = self._turn()
        try:
            guard.must_hold_nothing(f"calling {_shown(address)}")
            if time.monotonic() > good_until:
                # Something has held this process up; another's call may be due by now. Nothing was asked.
                raise LimitedError("The call would have come too late for its turn.")
            return self._ask(address, parameters, headers)
        finally:
            self._give_back(turn)

    def _turn(self) -> tuple[Turn, float]:
        """Wait for a turn; return it and until when it is good."""
        with self._asking:
            while True:
                if self._is_stopping():
                    raise StoppedError
                asked_at = time.monotonic()
                answer = self._in_ledger(lambda connection: ledger.reserve(connection, self._source, self._limits))
                if isinstance(answer, Spent):
                    raise QuotaSpentError(answer.until)
                good_until = asked_at + pacing.good_for(self._limits)
                if isinstance(answer, Wait):
                    time.sleep(min(answer.seconds, LONGEST_NAP))
                elif time.monotonic() < good_until:
                    with self._counting:
                        self._calls += 1
                    CALLS.count(self._source)
                    return answer, good_until
                else:
                    self._give_back(answer)

    def _give_back(self, turn: Turn) -> None:
        self._in_ledger(lambda connection: ledger.end(connection, self._source, turn, self._limits))

    def _in_ledger(self, deed: Callable[[Connection], Result]) -> Result:
        # To reserve twice where it is not known whether the first was committed costs a call, no more.
        return persistently(lambda: self._work.transact(deed, idempotent=True), self._is_stopping)

    def _ask(self, address: str, parameters: Mapping[str, str], headers: Mapping[str, str]) -> Reply:
        gives_up_at = time.monotonic() + 2 * REPLY_WITHIN
        try:
            with self._http.stream("GET", address, params=dict(parameters) or None, headers=dict(headers)) as answer:
                body = bytearray()
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > LARGEST_REPLY:
                        raise FetchError(f"{_shown(address)} sends more than {LARGEST_REPLY >> 20} MiB in one reply")
                    if time.monotonic() > gives_up_at:
                        raise FetchError(f"{_shown(address)} sends too slowly", transient=True)
                names = {name.lower(): value for name, value in answer.headers.items()}
                return Reply(answer.status_code, names, bytes(body))
        except httpx.InvalidURL as error:
            raise FetchError(f"{_shown(address)} is no address: {error}") from error
        except httpx.HTTPError as error:
            what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise FetchError(f"{_shown(address)} did not answer ({what})", transient=True) from error


def _worth_another_try(error: Exception) -> bool | float:
    if not isinstance(error, FetchError) or not error.transient:
        return False
    if error.retry_after is None:
        return True
    # The ledger holds everybody back so long; here it must not be undercut.
    return error.retry_after if error.retry_after <= WORTH_WAITING else False


def _shown(address: str) -> str:
    """Return an address without its query, which may hold a token."""
    return address.partition("?")[0]
