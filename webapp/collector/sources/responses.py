"""What a reply is worth: a value, "later", "never", or something that is worth another try."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webapp.collector.sources.base import Fetch, FetchError, RateLimitedError, SourceResponse

MAX_ATTEMPTS = 3
"""Of a call that changes nothing, when something else than JSON comes."""

REDIRECT, UNAUTHORISED, FORBIDDEN, NOT_FOUND, TOO_MANY_REQUESTS, SERVER_ERROR = 300, 401, 403, 404, 429, 500


class HttpNotFoundError(FetchError):
    """The source says that there is nothing at this address."""


def parse_response(response: SourceResponse) -> Any:
    """Return the JSON of a reply.

    Raises:
        RateLimitedError: when the source was asked too fast.
        FetchError: when there is none; transient, if the source may have done what it was asked for.
    """
    if response.status == TOO_MANY_REQUESTS:
        raise RateLimitedError("asked too fast (HTTP 429)", retry_after=response.retry_after)
    if response.status >= SERVER_ERROR:
        raise FetchError(f"HTTP {response.status}", transient=True, retry_after=response.retry_after)
    if response.status in {UNAUTHORISED, FORBIDDEN}:
        raise FetchError(f"the source lets us not in (HTTP {response.status}); see what authentication it wants")
    if response.status == NOT_FOUND:
        raise HttpNotFoundError("there is nothing at this address (HTTP 404)")
    if response.status >= REDIRECT:
        raise FetchError(f"HTTP {response.status}")
    return response.json()


def fetch_json(
    fetch: Fetch, address: str, parameters: Mapping[str, str], headers: Mapping[str, str] | None = None
) -> tuple[SourceResponse, Any]:
    """Return the reply and its JSON of a call that does no harm when it is repeated.

    Raises:
        RateLimitedError: when the source was asked too fast.
        FetchError: when no JSON came in three tries.
    """
    for _ in range(MAX_ATTEMPTS - 1):
        reply = fetch(address, parameters, headers=headers or {})
        try:
            return reply, parse_response(reply)
        except RateLimitedError:
            raise
        except FetchError as error:
            if not error.transient:
                raise
    reply = fetch(address, parameters, headers=headers or {})
    return reply, parse_response(reply)
