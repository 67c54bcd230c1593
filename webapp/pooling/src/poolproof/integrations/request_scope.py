"""What surrounds a request, whichever way it is answered: its deadline, its name, and the return of its connections."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Any, Protocol, Self, TypeVar

from poolproof import deadlines
from poolproof.leaks.checkouts import RequestCheckouts, current_request
from poolproof.transactions import outcomes

Result = TypeVar("Result")


class RequestScope:
    """A context of its own, in which code of the request runs; at its end none of its connections stays checked out.

    An abandoned `stream_with_context` leaves Flask's app context behind on the thread (flask #6123); in a context that
    ends with its request, it cannot keep the next request from its teardown.
    """

    __slots__ = ("checkouts", "context")

    def __init__(self, name: str, seconds: float, *, guard_raises: bool) -> None:
        """Begin now, for so many seconds; `name` is for messages about connections."""
        self.checkouts = RequestCheckouts(name, guard_raises=guard_raises)
        self.context = contextvars.copy_context()
        self.context.run(self._enter_context, seconds)

    def __enter__(self) -> Self:
        """Return the scope."""
        return self

    def __exit__(self, *_: object) -> None:
        """Return what is still checked out."""
        self.release_connections()

    def run(self, function: Callable[..., Result], *arguments: Any, **options: Any) -> Result:
        """Call a function as a part of the request."""
        return self.context.run(function, *arguments, **options)

    def release_connections(self, thread: threading.Thread | None = None) -> None:
        """Return every connection that the request, or with `thread` that thread alone, has left out, and report it."""
        if not self.checkouts.by_number:
            # As most requests end: nothing was borrowed, or everything is back.
            return
        for checkout in self.checkouts.release_all(thread):
            checkout.registry.on_orphan(checkout)

    def _enter_context(self, seconds: float) -> None:
        current_request.set(self.checkouts)
        outcomes.current_writes.set(outcomes.RequestWrites())
        deadlines.set_deadline(seconds)


class MayBeTested(Protocol):
    """What an app says of itself, as Flask's does."""

    debug: bool
    testing: bool


def guard_rule(setting: str, app: MayBeTested) -> Callable[[], bool]:
    """Return what says whether the blocking guard raises: always, never, or with "auto" in tests and debugging."""

    def raises() -> bool:
        return setting == "raise" or (setting == "auto" and (app.debug or app.testing))

    return raises


class RequestScopes:
    """Makes the scopes of an app's requests."""

    def __init__(self, deadline: float, guard_raises: Callable[[], bool]) -> None:
        """Give each request `deadline` seconds; `guard_raises` says whether the blocking guard raises."""
        self.deadline = deadline
        self._guard_raises = guard_raises

    def open(self, name: str = "", seconds: float | None = None) -> RequestScope:
        """Return the scope of a request that begins now; `seconds` is its own deadline."""
        return RequestScope(name, self.deadline if seconds is None else seconds, guard_raises=self._guard_raises())
