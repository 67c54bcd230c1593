"""A small run executor for tests of sources: real HTTP, no database."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import httpx2
from hypothesis import strategies as st

from webapp.bank.deduplication import dedupe_key
from webapp.bank.formats.parse_result import Accepted, Rejected
from webapp.collector.sources import base
from webapp.collector.sources.base import (
    CollectedRecord,
    Fetch,
    FetchError,
    Partition,
    RateLimitedError,
    Source,
    SourceResponse,
)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)
"""Any JSON."""

MAX_ATTEMPTS = 4
MAX_STEPS = 200
TIMEOUT = 30.0

sleep = time.sleep


StringPairs = Mapping[str, str] | None


class HttpFetch:
    """Fetches with a spacing in seconds; idempotent calls are attempted four times."""

    def __init__(self, spacing: float = 0.0, timeout: Callable[[], float] = lambda: TIMEOUT) -> None:
        self.spacing = spacing
        self._timeout = timeout
        # A context without certificates is created faster.
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._client = httpx2.Client(trust_env=False, verify=tls)
        self._lock = threading.Lock()
        self._next_call_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def __call__(
        self,
        address: str,
        parameters: StringPairs = None,
        *,
        idempotent: bool = True,
        headers: StringPairs = None,
    ) -> SourceResponse:
        for attempts_left in reversed(range(MAX_ATTEMPTS if idempotent else 1)):
            self._wait()
            try:
                response = self._client.get(
                    address, params=parameters or None, headers=headers, timeout=self._timeout()
                )
            except httpx2.TransportError as error:
                if attempts_left == 0:
                    raise FetchError(repr(error), transient=True) from error
                continue
            if response.status_code < 500 or attempts_left == 0:
                break
        names = {name.lower(): value for name, value in response.headers.items()}
        return SourceResponse(response.status_code, names, response.content)

    def _wait(self) -> None:
        with self._lock:
            sleep(max(0.0, self._next_call_at - time.monotonic()))
            self._next_call_at = time.monotonic() + self.spacing


def list_partitions(source: Source, fetch: Fetch, wait: float = 0.0) -> list[Partition]:
    """List the partitions; after a call that came too early, wait `wait` seconds."""
    for _ in range(MAX_STEPS):
        try:
            return source.list_partitions(fetch)
        except RateLimitedError:
            sleep(wait)
    raise AssertionError("the source never listed its partitions")


def pages_of(
    source: Source, fetch: Fetch, partition: Partition, wait: float = 0.0
) -> Iterable[tuple[Partition, base.RecordPage]]:
    """Yield every page of a partition, with the partition as it was before."""
    for _ in range(MAX_STEPS):
        try:
            page = source.fetch_page(fetch, partition)
        except RateLimitedError:
            sleep(wait)
            continue
        yield partition, page
        if page.state is None:
            return
        partition = Partition(partition.key, page.state, partition.expected, partition.title)
    raise AssertionError(f"partition {partition.key} never ends: {partition.state}")


def collect(source: Source, fetch: Fetch, wait: float = 0.0, threads: int = 1) -> list[CollectedRecord]:
    """Return every record that the source returns, with repetitions."""

    def collect_partition(partition: Partition) -> list[CollectedRecord]:
        return [record for _, page in pages_of(source, fetch, partition, wait) for record in page.records]

    partitions = list_partitions(source, fetch, wait)
    with ThreadPoolExecutor(threads) as pool:
        return [record for records in pool.map(collect_partition, partitions) for record in records]


def keys_of(collected: Iterable[CollectedRecord]) -> set[bytes]:
    """Return the dedupe keys of the accepted records."""
    drafts = [item.record.draft for item in collected if isinstance(item.record, Accepted)]
    return {dedupe_key(draft.stem, draft.choices, draft.right) for draft in drafts}


def reasons_of(collected: Iterable[CollectedRecord]) -> list[str]:
    """Return the reasons of the rejected records."""
    return [item.record.reason for item in collected if isinstance(item.record, Rejected)]
