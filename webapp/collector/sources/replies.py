"""What a reply is worth: a value, "later", "never", or something that is worth another try."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webapp.collector.sources.protocol import Fetch, FetchError, LimitedError, Reply

TRIES = 3
"""Of a call that changes nothing, when something else than JSON comes."""

REDIRECT, UNAUTHORISED, FORBIDDEN, NOT_FOUND, TOO_MANY_REQUESTS, SERVER_ERROR = 300, 401, 403, 404, 429, 500


class MissingError(FetchError):
    """The source says that there is nothing at this address."""


def value_of(reply: Reply) -> Any:
    """Return the JSON of a reply.

    Raises:
        LimitedError: when the source was asked too fast.
        FetchError: when there is none; transient, if the source may have done what it was asked for.
    """
    if reply.status == TOO_MANY_REQUESTS:
        raise LimitedError("asked too fast (HTTP 429)", retry_after=reply.retry_after)
    if reply.status >= SERVER_ERROR:
        raise FetchError(f"HTTP {reply.status}", transient=True, retry_after=reply.retry_after)
    if reply.status in {UNAUTHORISED, FORBIDDEN}:
        raise FetchError(f"the source lets us not in (HTTP {reply.status}); see what authentication it wants")
    if reply.status == NOT_FOUND:
        raise MissingError("there is nothing at this address (HTTP 404)")
    if reply.status >= REDIRECT:
        raise FetchError(f"HTTP {reply.status}")
    return reply.json()


def look(
    fetch: Fetch, address: str, parameters: Mapping[str, str], headers: Mapping[str, str] | None = None
) -> tuple[Reply, Any]:
    """Return the reply and its JSON of a call that does no harm when it is repeated.

    Raises:
        LimitedError: when the source was asked too fast.
        FetchError: when no JSON came in three tries.
    """
    for _ in range(TRIES - 1):
        reply = fetch(address, parameters, headers=headers or {})
        try:
            return reply, value_of(reply)
        except LimitedError:
            raise
        except FetchError as error:
            if not error.transient:
                raise
    reply = fetch(address, parameters, headers=headers or {})
    return reply, value_of(reply)
