"""A small engine for tests of sources: real HTTP, no database."""

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
from webapp.collector.sources.base import (
    CollectedRecord,
    Fetch,
    FetchError,
    Partition,
    RateLimitedError,
    RecordPage,
    Source,
    SourceResponse,
)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)
"""Any JSON."""

TRIES = 4
PATIENCE = 200
LONG = 30.0

sleep = time.sleep


class HttpFetch:
    """Fetches with a spacing in seconds; what may be repeated is tried four times."""

    def __init__(self, spacing: float = 0.0, timeout: Callable[[], float] = lambda: LONG) -> None:
        self.spacing = spacing
        self._timeout = timeout
        # A context without certificates is made at once.
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._client = httpx2.Client(trust_env=False, verify=tls)
        self._turn = threading.Lock()
        self._next = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def __call__(
        self,
        address: str,
        parameters: Mapping[str, str] | None = None,
        *,
        idempotent: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> SourceResponse:
        for left in reversed(range(TRIES if idempotent else 1)):
            self._wait()
            try:
                response = self._client.get(
                    address, params=parameters or None, headers=headers, timeout=self._timeout()
                )
            except httpx2.TransportError as error:
                if left == 0:
                    raise FetchError(repr(error), transient=True) from error
                continue
            if response.status_code < 500 or left == 0:
                break
        names = {name.lower(): value for name, value in response.headers.items()}
        return SourceResponse(response.status_code, names, response.content)

    def _wait(self) -> None:
        with self._turn:
            sleep(max(0.0, self._next - time.monotonic()))
            self._next = time.monotonic() + self.spacing


def strands_of(source: Source, fetch: Fetch, wait: float = 0.0) -> list[Partition]:
    """List the work; too fast is answered by waiting `wait` seconds."""
    for _ in range(PATIENCE):
        try:
            return source.list_partitions(fetch)
        except RateLimitedError:
            sleep(wait)
    raise AssertionError("the source never let us list its work")


def pages_of(
    source: Source, fetch: Fetch, strand: Partition, wait: float = 0.0
) -> Iterable[tuple[Partition, RecordPage]]:
    """Yield every page of a strand, with the strand as it was before."""
    for _ in range(PATIENCE):
        try:
            page = source.fetch_page(fetch, strand)
        except RateLimitedError:
            sleep(wait)
            continue
        yield strand, page
        if page.state is None:
            return
        strand = Partition(strand.key, page.state, strand.expected, strand.title)
    raise AssertionError(f"strand {strand.key} never ends: {strand.state}")


def collect(source: Source, fetch: Fetch, wait: float = 0.0, threads: int = 1) -> list[CollectedRecord]:
    """Return every record that the source gives, repeated ones too."""

    def all_of(strand: Partition) -> list[CollectedRecord]:
        return [record for _, page in pages_of(source, fetch, strand, wait) for record in page.records]

    strands = strands_of(source, fetch, wait)
    with ThreadPoolExecutor(threads) as pool:
        return [record for found in pool.map(all_of, strands) for record in found]


def keys_of(collected: Iterable[CollectedRecord]) -> set[bytes]:
    """Return the dedupe keys of the accepted records."""
    drafts = [one.record.draft for one in collected if isinstance(one.record, Accepted)]
    return {dedupe_key(draft.stem, draft.choices, draft.right) for draft in drafts}


def reasons_of(collected: Iterable[CollectedRecord]) -> list[str]:
    """Return why records were rejected."""
    return [one.record.reason for one in collected if isinstance(one.record, Rejected)]
