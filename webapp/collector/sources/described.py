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

from webapp.collector.sources import description, replies
from webapp.collector.sources.description import VARIABLE, AuthenticationPart, Description, DescriptionError
from webapp.collector.sources.elements import Reader
from webapp.collector.sources.paths import FieldPath
from webapp.collector.sources.protocol import Fetch, FetchError, Limits, Page, Reply, Strand, original_of

LONGEST_SECRET = 4000

_LINK = re.compile(r'<([^<>]*)>((?:\s*;\s*[\w*-]+\s*=\s*(?:"[^"]*"|[^",;\s]+))*)')
_NEXT = re.compile(r';\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next(?=\s|;|$))', re.IGNORECASE)


@dataclass(frozen=True)
class _Place:
    """Where a strand is: at a page number, an offset, a cursor or an address, None at the first of the latter two.

    `until` is where the next strand begins, None when none does. `seen` tells the page
    before: a source that gives it again does not understand the parameter.
    """

    at: int | str | None
    until: int | None = None
    seen: str | None = None


class DescribedSource:
    """A source as its description says."""

    def __init__(self, described: Description, headers: Mapping[str, str] | None = None) -> None:
        """Read as `described`, with `headers` on every call; they may hold a secret."""
        self.name = described.name
        self.title = described.title
        self.address = described.address
        self.licence = described.licence
        self.limits = Limits(**described.limits.model_dump())
        self._described = described
        self._paging = described.paging
        self._headers = dict(headers or {})
        self._reader = Reader(described)

    def strands(self, fetch: Fetch) -> list[Strand]:
        """List the work: one strand, or several where a number of records or pages is known.

        Raises:
            LimitedError: when the source was asked too fast.
            FetchError: when the number cannot be read.
        """
        start = self._start()
        if self._paging.total is None and self._paging.pages is None:
            numbered = self._paging.kind in {"page", "offset"}
            return [Strand("all", asdict(_Place(start if numbered else None)), title=self.title)]
        _, body = self._look(fetch, self.address, self._parameters(_Place(start)))
        total = _number(self._paging.total, body)
        pages = _number(self._paging.pages, body) if total is None else math.ceil(total / (self._paging.size or 1))
        return self._shared_out(start, pages or 0, total)

    def page(self, fetch: Fetch, strand: Strand) -> Page:
        """Fetch the page where the strand is.

        Raises:
            LimitedError: when the source was asked too fast.
            FetchError: when the page cannot be read, or leads nowhere.
        """
        place = _Place(**strand.state)
        address, parameters = self.address, self._parameters(place)
        if self._paging.kind == "link" and place.at is not None:
            # Once more: the description may have changed since the address was stored.
            address, parameters = self._same_origin(str(place.at)), {}
        try:
            reply, body = self._look(fetch, address, parameters)
        except replies.MissingError:
            # Some say so that there are no more pages.
            if isinstance(place.at, int) and place.at > self._start():
                return Page((), None)
            raise
        elements = self._reader.elements(body)
        records = tuple(self._reader.collected(number, one) for number, one in enumerate(elements, start=1))
        seen = hashlib.sha256(original_of(elements).encode()).hexdigest()[:16]
        if seen == place.seen and len(elements) > 1:
            raise FetchError(f"{self.name} gives the same page again; see whether paging.parameter is right")
        onward = self._onward(place, address, reply, body, len(elements))
        return Page(records, None if onward is None else asdict(replace(onward, seen=seen)))

    def resumed(self, strand: Strand) -> Strand:
        """Ask for the same page again."""
        return strand

    def _look(self, fetch: Fetch, address: str, parameters: Mapping[str, str]) -> tuple[Reply, Any]:
        return replies.look(fetch, address, parameters, self._headers)

    def _start(self) -> int:
        return self._paging.first if self._paging.kind == "page" else 0

    def _shared_out(self, start: int, pages: int, total: int | None) -> list[Strand]:
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
            strands.append(Strand(key, asdict(_Place(begin, until)), expected, self.title))
        return strands

    def _parameters(self, place: _Place) -> dict[str, str]:
        parameters = dict(self._described.parameters)
        if self._paging.size_parameter:
            parameters[self._paging.size_parameter] = str(self._paging.size)
        if self._paging.parameter and place.at is not None:
            parameters[self._paging.parameter] = str(place.at)
        return parameters

    def _onward(self, place: _Place, address: str, reply: Reply, body: Any, returned: int) -> _Place | None:
        """Return the next place, None when this was the last."""
        match self._paging.kind:
            case "none":
                return None
            case "cursor":
                at = self._cursor(body)
            case "link":
                at = self._link(address, reply, body)
            case _ if returned == 0 or not isinstance(place.at, int):
                return None
            case kind:
                # As many as came: a source may give fewer in a page than it was asked for.
                following = place.at + (1 if kind == "page" else returned)
                return None if place.until is not None and following >= place.until else replace(place, at=following)
        if at is not None and at == place.at:
            raise FetchError(f"{self.name} leads from a page to itself; see whether paging is described right")
        return None if at is None else replace(place, at=at)

    def _cursor(self, body: Any) -> str | None:
        found = self._paging.next.find(body) if self._paging.next else None
        if found is None or found == "" or found is False:
            return None
        if not isinstance(found, str | int):
            raise FetchError(f"{self._paging.next} holds {original_of(found)[:60]}, which is no cursor")
        return str(found)

    def _link(self, address: str, reply: Reply, body: Any) -> str | None:
        if self._paging.next:
            found = self._paging.next.find(body)
        else:
            links = _LINK.findall(reply.headers.get("link", ""))
            found = next((target for target, rest in links if _NEXT.search(rest)), None)
        if found is None or found == "":
            return None
        if not isinstance(found, str):
            raise FetchError(f"{self._paging.next} holds {original_of(found)[:60]}, which is no address")
        return self._same_origin(found, address)

    def _same_origin(self, target: str, base: str = "") -> str:
        try:
            address = urljoin(base, target)
            same = _origin(address) == _origin(self.address)
        except ValueError:
            same = False
        if not same:
            raise FetchError(f"the next page is said to be at {target[:200]!r}, which is not {self.name}; not followed")
        return address


def load(file: Path, environment: Mapping[str, str]) -> DescribedSource:
    """Return the source that a file describes, with its secrets from `environment`.

    Raises:
        DescriptionError: when the file is not acceptable, or a variable is not set.
    """
    described = description.read(file)
    part = described.authentication
    return DescribedSource(described, {part.header: _secret(part, file, environment)} if part else None)


def _secret(part: AuthenticationPart, file: Path, environment: Mapping[str, str]) -> str:
    for name in VARIABLE.findall(part.value):
        value = environment.get(name, "")
        if not value.strip():
            raise DescriptionError(
                f"{file}: authentication.value: the variable {name} is not set; set it in the environment."
            )
        if not (value.isascii() and value.isprintable() and len(value) <= LONGEST_SECRET):
            raise DescriptionError(
                f"{file}: authentication.value: the variable {name} holds what no header can; copy the secret again."
            )
    return VARIABLE.sub(lambda found: environment[found[1]].strip(), part.value)


def _number(path: FieldPath | None, body: Any) -> int | None:
    if path is None:
        return None
    found = path.find(body)
    if isinstance(found, str) and found.isdecimal():
        found = int(found[:18])
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise FetchError(f"{path} should be a number and is {original_of(found)[:60]}; see where the answer has it")
    return found


def _origin(address: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
