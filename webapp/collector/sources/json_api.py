"""A source of JSON over HTTP that a file describes: pages by cursor, link, number or offset.

Its calls change nothing at the source, so all of them are idempotent. Where the source tells
how many records it has, its pages are divided among several partitions.
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
    """The position of a partition: a page number, an offset, a cursor or an address; None is the first of the latter.

    `until` is where the next partition begins, None for the last one. `seen` is a hash of the page
    before: a source that returns it again does not understand the parameter. The names are those of stored states.
    """

    at: int | str | None
    until: int | None = None
    seen: str | None = None


class JsonApiSource:
    """The source that a description describes."""

    def __init__(self, config: JsonApiConfig, headers: Mapping[str, str] | None = None) -> None:
        """Read as `config` describes, with `headers` in every call; they may hold a secret."""
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
        """List the partitions: one, or several where the number of records or pages is known.

        Raises:
            RateLimitedError: when the call came too early.
            FetchError: when the number cannot be read.
        """
        start = self._first_position()
        if self._paging.total is None and self._paging.pages is None:
            is_numbered = self._paging.kind in {"page", "offset"}
            return [Partition("all", asdict(_Position(start if is_numbered else None)), title=self.title)]
        _, body = self._fetch_json(fetch, self.address, self._parameters(_Position(start)))
        total = _read_count(self._paging.total, body)
        pages = _read_count(self._paging.pages, body) if total is None else math.ceil(total / (self._paging.size or 1))
        return self._split_into_partitions(start, pages or 0, total)

    def fetch_page(self, fetch: Fetch, partition: Partition) -> RecordPage:
        """Fetch the page at the partition's position.

        Raises:
            RateLimitedError: when the call came too early.
            FetchError: when the page cannot be read, or does not lead to another one.
        """
        position = _Position(**partition.state)
        address, parameters = self.address, self._parameters(position)
        if self._paging.kind == "link" and position.at is not None:
            # Checked again: the description may have changed since the address was stored.
            address, parameters = self._require_same_origin(str(position.at)), {}
        try:
            response, body = self._fetch_json(fetch, address, parameters)
        except responses.HttpNotFoundError:
            # Some sources answer so after the last page.
            if isinstance(position.at, int) and position.at > self._first_position():
                return RecordPage((), None)
            raise
        elements = self._mapper.find_records(body)
        records = tuple(self._mapper.map_record(number, element) for number, element in enumerate(elements, start=1))
        page_hash = hashlib.sha256(compact_json(elements).encode()).hexdigest()[:16]
        if page_hash == position.seen and len(elements) > 1:
            raise FetchError(f"{self.name} gives the same page again; see whether paging.parameter is right")
        following = self._next_position(position, address, response, body, len(elements))
        return RecordPage(records, None if following is None else asdict(replace(following, seen=page_hash)))

    def resume_partition(self, partition: Partition) -> Partition:
        """Continue with the same page."""
        return partition

    def _fetch_json(self, fetch: Fetch, address: str, parameters: Mapping[str, str]) -> tuple[SourceResponse, Any]:
        return responses.fetch_json(fetch, address, parameters, self._headers)

    def _first_position(self) -> int:
        return self._paging.first if self._paging.kind == "page" else 0

    def _split_into_partitions(self, start: int, pages: int, total: int | None) -> list[Partition]:
        """Give consecutive pages to each partition; the last one reads past the number, which may be too low."""
        size = self._paging.size or 1
        step = 1 if self._paging.kind == "page" else size
        count = max(1, min(self.limits.concurrency, pages))
        bounds = [start + step * (pages * index // count) for index in range(count)]
        partitions = []
        for begin, until in zip(bounds, [*bounds[1:], None], strict=True):
            first_record = (begin - start) // step * size
            end_record = total if until is None else (until - start) // step * size
            expected = None if total is None or end_record is None else end_record - first_record
            key = f"{begin}-{'' if until is None else until - 1}"
            partitions.append(Partition(key, asdict(_Position(begin, until)), expected, self.title))
        return partitions

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
        """Return the next position, None when this was the last."""
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
                # By the number of returned records: a page may have fewer than were requested.
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
        cursor = self._paging.next.find(body) if self._paging.next else None
        if cursor is None or cursor == "" or cursor is False:
            return None
        if not isinstance(cursor, str | int):
            raise FetchError(f"{self._paging.next} holds {compact_json(cursor)[:60]}, which is no cursor")
        return str(cursor)

    def _next_link(self, address: str, response: SourceResponse, body: Any) -> str | None:
        if self._paging.next:
            link = self._paging.next.find(body)
        else:
            links = _LINK_HEADER.findall(response.headers.get("link", ""))
            link = next((target for target, parameters in links if _REL_NEXT.search(parameters)), None)
        if link is None or link == "":
            return None
        if not isinstance(link, str):
            raise FetchError(f"{self._paging.next} holds {compact_json(link)[:60]}, which is no address")
        return self._require_same_origin(link, address)

    def _require_same_origin(self, target: str, base: str = "") -> str:
        try:
            address = urljoin(base, target)
            is_same_origin = _origin(address) == _origin(self.address)
        except ValueError:
            is_same_origin = False
        if not is_same_origin:
            raise FetchError(f"the next page is said to be at {target[:200]!r}, which is not {self.name}; not followed")
        return address


def load_source(file: Path, environment: Mapping[str, str]) -> JsonApiSource:
    """Return the source that a file describes, with its secrets from `environment`.

    Raises:
        JsonApiConfigError: when the file is invalid, or a variable is not set.
    """
    config = json_api_config.read_config(file)
    if config.authentication is None:
        return JsonApiSource(config)
    secret = _resolve_secret(config.authentication, file, environment)
    return JsonApiSource(config, {config.authentication.header: secret})


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
    return ENV_VARIABLE.sub(lambda variable: environment[variable[1]].strip(), authentication.value)


def _read_count(path: FieldPath | None, body: Any) -> int | None:
    if path is None:
        return None
    count = path.find(body)
    if isinstance(count, str) and count.isdecimal():
        count = int(count[:18])
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise FetchError(f"{path} should be a number and is {compact_json(count)[:60]}; see where the answer has it")
    return count


def _origin(address: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
