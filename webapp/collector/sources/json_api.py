"""A source of JSON over HTTP that a file describes: pages by cursor, link, number or offset.

Its calls change nothing at the source, so any of them may be repeated. Where the source says
how many records it has, its pages are shared out to several strands.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from webapp.collector.sources import json_api_config, responses
from webapp.collector.sources.base import (
    Fetch,
    FetchError,
    Partition,
    RecordPage,
    SourceLimits,
    SourceResponse,
    compact_json,
)
from webapp.collector.sources.json_api_config import (
    ENV_VARIABLE,
    AuthenticationConfig,
    JsonApiConfig,
    JsonApiConfigError,
)
from webapp.collector.sources.json_api_mapping import RecordMapper
from webapp.collector.sources.json_path import FieldPath

MAX_SECRET_LENGTH = 4000

_LINK_HEADER = re.compile(r'<([^<>]*)>((?:\s*;\s*[\w*-]+\s*=\s*(?:"[^"]*"|[^",;\s]+))*)')
_REL_NEXT = re.compile(r';\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next(?=\s|;|$))', re.IGNORECASE)


@dataclass(frozen=True)
class _Position:
    """Where a strand is: at a page number, an offset, a cursor or an address, None at the first of the latter two.

    `until` is where the next strand begins, None when none does. `seen` tells the page
    before: a source that gives it again does not understand the parameter.
    """

    at: int | str | None
    until: int | None = None
    seen: str | None = None


class JsonApiSource:
    """A source as its description says."""

    def __init__(self, config: JsonApiConfig, headers: Mapping[str, str] | None = None) -> None:
        """Read as `described`, with `headers` on every call; they may hold a secret."""
        self.name = config.name
        self.title = config.title
        self.address = config.address
        self.licence = config.licence
        self.limits = SourceLimits(**config.limits.model_dump())
        self._config = config
        self._paging = config.paging
        self._headers = dict(headers or {})
        self._mapper = RecordMapper(config)

    def list_partitions(self, fetch: Fetch) -> list[Partition]:
        """List the work: one strand, or several where a number of records or pages is known.

        Raises:
            RateLimitedError: when the source was asked too fast.
            FetchError: when the number cannot be read.
        """
        start = self._first_position()
        if self._paging.total is None and self._paging.pages is None:
            numbered = self._paging.kind in {"page", "offset"}
            return [Partition("all", asdict(_Position(start if numbered else None)), title=self.title)]
        _, body = self._fetch_json(fetch, self.address, self._parameters(_Position(start)))
        total = _read_count(self._paging.total, body)
        pages = _read_count(self._paging.pages, body) if total is None else math.ceil(total / (self._paging.size or 1))
        return self._split_into_partitions(start, pages or 0, total)

    def fetch_page(self, fetch: Fetch, partition: Partition) -> RecordPage:
        """Fetch the page where the strand is.

        Raises:
            RateLimitedError: when the source was asked too fast.
            FetchError: when the page cannot be read, or leads nowhere.
        """
        place = _Position(**partition.state)
        address, parameters = self.address, self._parameters(place)
        if self._paging.kind == "link" and place.at is not None:
            # Once more: the description may have changed since the address was stored.
            address, parameters = self._require_same_origin(str(place.at)), {}
        try:
            reply, body = self._fetch_json(fetch, address, parameters)
        except responses.HttpNotFoundError:
            # Some say so that there are no more pages.
            if isinstance(place.at, int) and place.at > self._first_position():
                return RecordPage((), None)
            raise
        elements = self._mapper.find_records(body)
        records = tuple(self._mapper.map_record(number, one) for number, one in enumerate(elements, start=1))
        seen = hashlib.sha256(compact_json(elements).encode()).hexdigest()[:16]
        if seen == place.seen and len(elements) > 1:
            raise FetchError(f"{self.name} gives the same page again; see whether paging.parameter is right")
        onward = self._next_position(place, address, reply, body, len(elements))
        return RecordPage(records, None if onward is None else asdict(replace(onward, seen=seen)))

    def resume_partition(self, partition: Partition) -> Partition:
        """Ask for the same page again."""
        return partition

    def _fetch_json(self, fetch: Fetch, address: str, parameters: Mapping[str, str]) -> tuple[SourceResponse, Any]:
        return responses.fetch_json(fetch, address, parameters, self._headers)

    def _first_position(self) -> int:
        return self._paging.first if self._paging.kind == "page" else 0

    def _split_into_partitions(self, start: int, pages: int, total: int | None) -> list[Partition]:
        """Give neighbouring pages to each strand; the last goes on past the number, which may be too low."""
        size = self._paging.size or 1
        step = 1 if self._paging.kind == "page" else size
        parts = max(1, min(self.limits.concurrency, pages))
        bounds = [start + step * (pages * part // parts) for part in range(parts)]
        strands = []
        for begin, until in zip(bounds, [*bounds[1:], None], strict=True):
            before = (begin - start) // step * size
            after = total if until is None else (until - start) // step * size
            expected = None if total is None or after is None else after - before
            key = f"{begin}-{'' if until is None else until - 1}"
            strands.append(Partition(key, asdict(_Position(begin, until)), expected, self.title))
        return strands

    def _parameters(self, position: _Position) -> dict[str, str]:
        parameters = dict(self._config.parameters)
        if self._paging.size_parameter:
            parameters[self._paging.size_parameter] = str(self._paging.size)
        if self._paging.parameter and position.at is not None:
            parameters[self._paging.parameter] = str(position.at)
        return parameters

    def _next_position(
        self, position: _Position, address: str, response: SourceResponse, body: Any, returned: int
    ) -> _Position | None:
        """Return the next place, None when this was the last."""
        match self._paging.kind:
            case "none":
                return None
            case "cursor":
                at = self._next_cursor(body)
            case "link":
                at = self._next_link(address, response, body)
            case _ if returned == 0 or not isinstance(position.at, int):
                return None
            case kind:
                # As many as came: a source may give fewer in a page than it was asked for.
                following = position.at + (1 if kind == "page" else returned)
                return (
                    None
                    if position.until is not None and following >= position.until
                    else replace(position, at=following)
                )
        if at is not None and at == position.at:
            raise FetchError(f"{self.name} leads from a page to itself; see whether paging is described right")
        return None if at is None else replace(position, at=at)

    def _next_cursor(self, body: Any) -> str | None:
        found = self._paging.next.find(body) if self._paging.next else None
        if found is None or found == "" or found is False:
            return None
        if not isinstance(found, str | int):
            raise FetchError(f"{self._paging.next} holds {compact_json(found)[:60]}, which is no cursor")
        return str(found)

    def _next_link(self, address: str, response: SourceResponse, body: Any) -> str | None:
        if self._paging.next:
            found = self._paging.next.find(body)
        else:
            links = _LINK_HEADER.findall(response.headers.get("link", ""))
            found = next((target for target, rest in links if _REL_NEXT.search(rest)), None)
        if found is None or found == "":
            return None
        if not isinstance(found, str):
            raise FetchError(f"{self._paging.next} holds {compact_json(found)[:60]}, which is no address")
        return self._require_same_origin(found, address)

    def _require_same_origin(self, target: str, base: str = "") -> str:
        try:
            address = urljoin(base, target)
            same = _origin(address) == _origin(self.address)
        except ValueError:
            same = False
        if not same:
            raise FetchError(f"the next page is said to be at {target[:200]!r}, which is not {self.name}; not followed")
        return address


def load_source(file: Path, environment: Mapping[str, str]) -> JsonApiSource:
    """Return the source that a file describes, with its secrets from `environment`.

    Raises:
        JsonApiConfigError: when the file is not acceptable, or a variable is not set.
    """
    described = json_api_config.read_config(file)
    part = described.authentication
    return JsonApiSource(described, {part.header: _resolve_secret(part, file, environment)} if part else None)


def _resolve_secret(authentication: AuthenticationConfig, file: Path, environment: Mapping[str, str]) -> str:
    for name in ENV_VARIABLE.findall(authentication.value):
        value = environment.get(name, "")
        if not value.strip():
            raise JsonApiConfigError(
                f"{file}: authentication.value: the variable {name} is not set; set it in the environment."
            )
        if not (value.isascii() and value.isprintable() and len(value) <= MAX_SECRET_LENGTH):
            raise JsonApiConfigError(
                f"{file}: authentication.value: the variable {name} holds what no header can; copy the secret again."
            )
    return ENV_VARIABLE.sub(lambda found: environment[found[1]].strip(), authentication.value)


def _read_count(path: FieldPath | None, body: Any) -> int | None:
    if path is None:
        return None
    found = path.find(body)
    if isinstance(found, str) and found.isdecimal():
        found = int(found[:18])
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise FetchError(f"{path} should be a number and is {compact_json(found)[:60]}; see where the answer has it")
    return found


def _origin(address: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
