"""Requests that may occupy their thread for long: only a share of a worker's request threads takes them.

They are the views that declare it (imports and exports: files of any length, on a lane that an operator may pause) and
every request with a large body, which its client may send slowly. Each holds a place in the worker's `ThreadShare` from
before its body is read until its response is made, or the last piece of a file is sent. Where no place is free it is
refused at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any, TypeVar

from flask import Flask, Response, current_app, g, request

from poolproof.integrations.flask_ext import get_pooling

LARGE_BODY_BYTES = 64 * 1024
"""A larger body makes a request one that may take long; a smaller one is read within half a minute, or given up."""
_PLACE_KEY = "long_work_place"

View = TypeVar("View", bound=Callable[..., Any])


def takes_long(*methods: str) -> Callable[[View], View]:
    """Declare that requests to this view may occupy their thread for long: those with these methods, by default all."""

    def declare(view: View) -> View:
        view.takes_long = methods or True  # type: ignore[attr-defined]
        return view

    return declare


def init_app(app: Flask) -> None:
    """Limit such requests; to be called before what reads a request's body."""
    app.before_request(_hold_place)
    app.after_request(_release_after_body)
    app.teardown_request(_release_without_response)


def _hold_place() -> None:
    if _is_long():
        hold = ExitStack()
        hold.enter_context(get_pooling().long_work.hold())
        setattr(g, _PLACE_KEY, hold)


def _is_long() -> bool:
    declared: Any = getattr(current_app.view_functions.get(request.endpoint or ""), "takes_long", ())
    if declared is True or request.method in (declared or ()):
        return True
    # Without a length the body comes in chunks, of any number.
    length = request.content_length
    if request.routing_exception is not None:
        return False
    return "Transfer-Encoding" in request.headers if length is None else length > LARGE_BODY_BYTES


def _release_after_body(response: Response) -> Response:
    hold: ExitStack | None = g.pop(_PLACE_KEY, None)
    if hold is None:
        return response
    if response.is_streamed:
        response.response = _release_at_end(response.response, hold)
        # Also where the body is not read to its end, or not at all.
        response.call_on_close(hold.close)
    else:
        # Written like any other response, which takes no longer.
        hold.close()
    return response


def _release_at_end(body: Iterable[Any], hold: ExitStack) -> Iterator[Any]:
    with hold:
        yield from body


def _release_without_response(error: BaseException | None) -> None:
    if (hold := g.pop(_PLACE_KEY, None)) is not None:
        hold.close()
