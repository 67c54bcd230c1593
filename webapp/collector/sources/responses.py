"""Interpreting a response: a value, a refusal, or an error that is worth another attempt."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from webapp.collector.sources.base import Fetch, FetchError, RateLimitedError, SourceResponse

MAX_ATTEMPTS = 3
"""Of an idempotent call whose response is not JSON."""


class HttpNotFoundError(FetchError):
    """The source has nothing at this address."""


def parse_response(response: SourceResponse) -> Any:
    """Return the JSON of a response.

    Raises:
        RateLimitedError: when the call came too early.
        FetchError: when there is no JSON; transient, if the source may have executed the call.
    """
    if response.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise RateLimitedError("too many calls (HTTP 429)", retry_after=response.retry_after)
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise FetchError(f"HTTP {response.status}", transient=True, retry_after=response.retry_after)
    if response.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        raise FetchError(f"the source refuses access (HTTP {response.status}); check its authentication")
    if response.status == HTTPStatus.NOT_FOUND:
        raise HttpNotFoundError("there is nothing at this address (HTTP 404)")
    if response.status >= HTTPStatus.MULTIPLE_CHOICES:
        raise FetchError(f"HTTP {response.status}")
    return response.json()


def fetch_json(
    fetch: Fetch, address: str, parameters: Mapping[str, str], headers: Mapping[str, str] | None = None
) -> tuple[SourceResponse, Any]:
    """Return the response of an idempotent call, and its JSON.

    Raises:
        RateLimitedError: when the call came too early.
        FetchError: when there is no JSON after all attempts.
    """
    for _ in range(MAX_ATTEMPTS - 1):
        response = fetch(address, parameters, headers=headers or {})
        try:
            return response, parse_response(response)
        except RateLimitedError:
            raise
        except FetchError as error:
            if not error.transient:
                raise
    response = fetch(address, parameters, headers=headers or {})
    return response, parse_response(response)
