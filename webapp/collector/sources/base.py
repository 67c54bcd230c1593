"""The interface between the run executor and a source of questions. No HTTP library here.

A source knows an external API: what to request, and what the responses mean. The executor
does everything else: waiting, retrying, storing, continuing after it was killed.
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
"""Characters of a record's original text that are kept."""

MAX_IDENTITY_LENGTH = 200
"""Characters of a source's own id."""

PartitionState = dict[str, Any]
"""Where to continue a partition; it can be written as JSON, and holds no secret."""


class FetchError(Exception):
    """A call failed; `reason` says how.

    `transient`: the same call may succeed later, and it is unknown whether the source has executed
    it. `retry_after`: seconds until the source accepts the next call, where it named them.
    """

    def __init__(self, reason: str, *, transient: bool = False, retry_after: float | None = None) -> None:
        """Name the reason."""
        super().__init__(reason)
        self.reason = reason
        self.transient = transient
        self.retry_after = retry_after


class RateLimitedError(FetchError):
    """The source has refused the call as too early and has done nothing: the same call may be repeated later."""

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        """Name the reason, and the seconds until the next call if the source named them."""
        super().__init__(reason, transient=True, retry_after=retry_after)


@dataclass(frozen=True)
class SourceResponse:
    """A response: the names of headers in lower case, the body of bounded size."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body's value.

        Raises:
            FetchError: when it is no JSON, for example a proxy's page or a truncated response; transient.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            start = self.body[:60].decode(errors="replace")
            raise FetchError(f"HTTP {self.status} with no JSON but {start!r}", transient=True) from error

    @property
    def retry_after(self) -> float | None:
        """The seconds of Retry-After, which may be written as seconds or as a date; None without it."""
        value = self.headers.get("retry-after", "").strip()
        if value.isdecimal():
            return float(value[:9])
        try:
            retry_at = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        # By the format's definition, a date without a zone is in UTC.
        retry_at = retry_at if retry_at.tzinfo else retry_at.replace(tzinfo=UTC)
        return max(0.0, (retry_at - datetime.now(UTC)).total_seconds())


class Fetch(Protocol):
    """A GET that the executor provides to the source: it waits for a permit and counts the call."""

    def __call__(
        self,
        address: str,
        parameters: Mapping[str, str] = ...,
        *,
        idempotent: bool = True,
        headers: Mapping[str, str] = ...,
    ) -> SourceResponse:
        """Return the response; of a call that is not idempotent, with any status.

        An `idempotent` call is retried after transient failures (no connection, a time-out,
        a truncated body, 5xx, 429 with Retry-After). An address with a query of its own is given
        without parameters, and its query is not changed. `headers` may hold a secret: they are not
        logged, not stored, and not sent to another origin after a redirect.

        Raises:
            FetchError: when there is no response, also after all attempts.
            RateLimitedError: when the source allows the next call only after more than the longest wait.
        """


@dataclass(frozen=True)
class Partition:
    """An independent part of a source; its pages are fetched one after the other.

    `expected` is the number of its records, where the source tells it.
    """

    key: str
    state: PartitionState
    expected: int | None = None
    title: str = ""


@dataclass(frozen=True)
class CollectedRecord:
    """A record of a source, parsed.

    `identity` is the source's own id, where it has one, of at most `MAX_IDENTITY_LENGTH` characters;
    `original` is the record's text, truncated to `MAX_ORIGINAL_LENGTH`.
    """

    record: Record
    identity: str | None
    original: str


@dataclass(frozen=True)
class RecordPage:
    """The result of one step of a partition, which may have no record.

    `state` is where to continue, None when the partition is done. `restarts`: the partition begins
    again, and the records that it has returned so far will be returned once more.
    """

    records: tuple[CollectedRecord, ...]
    state: PartitionState | None
    restarts: bool = False


@dataclass(frozen=True)
class SourceLimits:
    """The limits of a source, for all processes together.

    `spacing`: seconds between the starts of two calls. `daily`: calls in a day.
    """

    concurrency: int = 10
    spacing: float = 0.0
    daily: int | None = None


class Source(Protocol):
    """An external source of questions."""

    name: str
    title: str
    address: str
    licence: str
    limits: SourceLimits

    def list_partitions(self, fetch: Fetch) -> list[Partition]:
        """List the partitions.

        Raises:
            FetchError: when the source cannot be read.
        """

    def fetch_page(self, fetch: Fetch, partition: Partition) -> RecordPage:
        """Do the step that `partition.state` describes, with at most one call that changes something at the source.

        Raises:
            FetchError: when the step fails; the state remains valid for another attempt.
        """

    def resume_partition(self, partition: Partition) -> Partition:
        """Return the partition to continue with after a run was interrupted between a call and its commit."""


def compact_json(value: Any) -> str:
    """Return a record's text in the form in which it is kept with its item."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        text = "(nested too deeply)"
    # A lone surrogate, which JSON can escape and no database can store, stays escaped.
    return text[:MAX_ORIGINAL_LENGTH].encode(errors="backslashreplace").decode()[:MAX_ORIGINAL_LENGTH]
