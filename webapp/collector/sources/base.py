"""What the engine and a source of questions expect of each other. No HTTP library here.

A source knows an interface somewhere: what to ask, and what its answers mean. The engine
knows everything else: waiting, trying again, storing, going on after it was killed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

from webapp.bank.formats.parse_result import Record

MAX_ORIGINAL_LENGTH = 20_000
"""Characters that are kept of a record as the source wrote it."""

MAX_IDENTITY_LENGTH = 200
"""Characters of a source's own id."""

PartitionState = dict[str, Any]
"""Where a strand has got to; it can be written as JSON, and holds no secret."""


class FetchError(Exception):
    """A call did not give what was asked for; `reason` says what came instead.

    `transient`: the same call may do later, and nobody knows whether the source has carried
    it out. `retry_after`: seconds that the source wants to be left alone, where it said so.
    """

    def __init__(self, reason: str, *, transient: bool = False, retry_after: float | None = None) -> None:
        """Say what came instead of an answer."""
        super().__init__(reason)
        self.reason = reason
        self.transient = transient
        self.retry_after = retry_after


class RateLimitedError(FetchError):
    """The source says "too fast" and has done nothing: the very same call is good, later."""

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        """Say who wants to be left alone, and for how many seconds if it said so."""
        super().__init__(reason, transient=True, retry_after=retry_after)


@dataclass(frozen=True)
class SourceResponse:
    """What came back: the names of headers in lower case, the body bounded by who fetched it."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body's value.

        Raises:
            FetchError: when it is no JSON, as the page of a proxy or half an answer; transient.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            start = self.body[:60].decode(errors="replace")
            raise FetchError(f"HTTP {self.status} with no JSON but {start!r}", transient=True) from error

    @property
    def retry_after(self) -> float | None:
        """Seconds that Retry-After asks for, written as seconds or as a date; None without it."""
        value = self.headers.get("retry-after", "").strip()
        if value.isdecimal():
            return float(value[:9])
        try:
            until = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        # A date without a zone is in UTC, says the format.
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        return max(0.0, (until - datetime.now(UTC)).total_seconds())


class Fetch(Protocol):
    """A GET, given to the source by the engine, which waits its turn and counts the call."""

    def __call__(
        self,
        address: str,
        parameters: Mapping[str, str] = ...,
        *,
        idempotent: bool = True,
        headers: Mapping[str, str] = ...,
    ) -> SourceResponse:
        """Return what came back, whatever its status, when the call may not be repeated.

        A `repeatable` call is tried again inside after what passes (no connection, time-out,
        a body cut off, 5xx, 429 with Retry-After). An address that has a query of its own comes
        without parameters, and its query stays as it is. `headers` may hold a secret: they are not
        logged, not stored, and do not follow a redirect to another origin.

        Raises:
            FetchError: when no reply came, or none after all tries.
            RateLimitedError: when the source wants to be left alone longer than it is worth waiting inside.
        """


@dataclass(frozen=True)
class Partition:
    """An independent part of a source's work; its pages come one after the other.

    `expected` is how many records the source says it has, where it says so.
    """

    key: str
    state: PartitionState
    expected: int | None = None
    title: str = ""


@dataclass(frozen=True)
class CollectedRecord:
    """A record as the source gave it, and what became of it.

    `identity` is the source's own, where it has one, at most `MAX_IDENTITY_LENGTH` long;
    `original` is the record's text, cut at `MAX_ORIGINAL_LENGTH`.
    """

    record: Record
    identity: str | None
    original: str


@dataclass(frozen=True)
class RecordPage:
    """What one step of a strand gave; it may be no record at all.

    `state` is where to go on, None when the strand is done. `restarts`: the strand begins
    anew, and what it has returned so far will be returned again.
    """

    records: tuple[CollectedRecord, ...]
    state: PartitionState | None
    restarts: bool = False


@dataclass(frozen=True)
class SourceLimits:
    """How much of a source may be used by all processes together.

    `spacing`: seconds between the starts of two calls. `daily`: calls in a day.
    """

    concurrency: int = 10
    spacing: float = 0.0
    daily: int | None = None


class Source(Protocol):
    """An interface somewhere that gives questions."""

    name: str
    title: str
    address: str
    licence: str
    limits: SourceLimits

    def list_partitions(self, fetch: Fetch) -> list[Partition]:
        """List the work.

        Raises:
            FetchError: when the source cannot be read.
        """

    def fetch_page(self, fetch: Fetch, partition: Partition) -> RecordPage:
        """Take the step that `strand.state` says, with at most one call that changes something at the source.

        Raises:
            FetchError: when the step cannot be taken; the state stays good for another try.
        """

    def resume_partition(self, partition: Partition) -> Partition:
        """Return the strand to go on with after a run was cut off between a call and its commit."""


def compact_json(value: Any) -> str:
    """Return a record as it is kept beside the item made of it."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        text = "(nested too deeply)"
    # Half a character of UTF-16, which JSON can spell and no database can store, stays spelled out.
    return text[:MAX_ORIGINAL_LENGTH].encode(errors="backslashreplace").decode()[:MAX_ORIGINAL_LENGTH]
