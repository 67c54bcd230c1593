"""What a feature declares for the fast path: a route, its handler, and the responses that a handler returns."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from wsgiref.types import WSGIEnvironment

from poolproof.transactions import outcomes
from webapp.web.validators import MAX_ID_DIGITS

JSON_MEDIA_TYPE = "application/json"


class PlainRequest(NamedTuple):
    """A request as a handler of a fast route sees it, whether our worker has received it or another server of WSGI."""

    fields: Mapping[str, str]
    """The headers by name, in capitals."""
    query: str
    prefix: str
    """The path under which the service is mounted."""
    scheme: str
    read_body: Callable[[], bytes]
    """Returns the body, which stays there for another reader."""


def plain_request(environ: WSGIEnvironment) -> PlainRequest:
    """Return what a server of WSGI has received."""

    def read_body() -> bytes:
        body: bytes = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = io.BytesIO(body)
        return body

    fields = {key[5:].replace("_", "-"): value for key, value in environ.items() if key.startswith("HTTP_")}
    for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(key):
            fields[key.replace("_", "-")] = environ[key]
    prefix, scheme = environ.get("SCRIPT_NAME", ""), environ["wsgi.url_scheme"]
    return PlainRequest(fields, environ.get("QUERY_STRING", ""), prefix, scheme, read_body)


class RawResponse(NamedTuple):
    """A response: its status line, its own headers, and its body."""

    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class PendingResponse(NamedTuple):
    """A response that depends on an operation in progress."""

    future: Future[Any]
    make_response: Callable[[Any], RawResponse]
    """Makes it of the operation's result."""
    in_thread: bool = False
    """Making the response takes long or needs a connection, so the thread that completes the future must not."""

    def result(self) -> RawResponse:
        """Wait for the operation, and return the response."""
        result = self.future.result()
        outcomes.record_committed()
        return self.make_response(result)


@dataclass(frozen=True)
class FastRoute:
    """A route of the fast path.

    The handler gets a `PlainRequest`, and the segments that `path` has in angle brackets.
    A handler returns None for a request that Flask has to answer. What it raises is raised again in Flask.
    """

    method: str
    path: str
    handler: Callable[..., RawResponse | PendingResponse | None]
    match: Callable[[str], re.Match[str] | None] = field(init=False)
    """Matches a path of the route; the groups are the segments in angle brackets, of which `<id:…>` is an id."""

    def __post_init__(self) -> None:
        """Compile the path once."""
        segments = "/".join(_pattern(part) for part in self.path.split("/"))
        object.__setattr__(self, "match", re.compile(segments).fullmatch)


def _pattern(segment: str) -> str:
    if segment.startswith("<id:"):
        return f"([0-9]{{1,{MAX_ID_DIGITS}}})"
    return "([^/]*)" if segment.startswith("<") else re.escape(segment)
