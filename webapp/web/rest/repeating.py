"""What a client is told of a request that has failed for a moment: what is known of it, and how to repeat it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import current_app, request

from poolproof.transactions import outcomes
from poolproof.transactions.outcomes import WriteOutcome
from webapp.messages import join_messages, message
from webapp.web import form_retry
from webapp.web.rest import idempotency

IDEMPOTENT_METHODS = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}
"""A repeat has no further effect (RFC 9110). A PUT with If-Match, or a DELETE, that was done is answered 412 or 404."""

_SENTENCES = {
    WriteOutcome.NOT_DONE: message("Nothing was changed; please repeat the request."),
    WriteOutcome.PARTLY_DONE: message("A part of it was stored before, the rest was not."),
    WriteOutcome.UNKNOWN: message("It is not known whether it was stored."),
}


View = TypeVar("View", bound=Callable[..., Any])


def safe_to_repeat(view: View) -> View:
    """Declare that a request to this view may be sent again as often as one likes, whatever its method."""
    view.is_safe_to_repeat = True  # type: ignore[attr-defined]
    return view


def known_outcome() -> WriteOutcome:
    """Return what is known of the writes of the present request if it fails now."""
    writes = outcomes.current_writes.get()
    if writes is None:
        return WriteOutcome.NOT_DONE if request.method in {"GET", "HEAD"} else WriteOutcome.UNKNOWN
    return writes.outcome()


def may_repeat(outcome: WriteOutcome) -> bool:
    """Say whether the request can be sent again as it is without taking effect twice."""
    return (
        outcome is WriteOutcome.NOT_DONE
        or request.method in IDEMPOTENT_METHODS
        or idempotency.is_keyed()
        or _is_declared()
    )


def _is_declared() -> bool:
    view = current_app.view_functions.get(request.endpoint or "")
    return hasattr(view, "is_safe_to_repeat") or form_retry.is_repeatable()


def advice(outcome: WriteOutcome) -> str:
    """Return what is known, and how to repeat the request, in sentences."""
    known = _SENTENCES[outcome]
    if outcome is WriteOutcome.NOT_DONE:
        return known
    if not may_repeat(outcome):
        return join_messages(known, message("Look before you repeat the request."))
    if idempotency.is_keyed():
        how = message(
            "Repeat the request with the same %(key)s: that is safe, it takes effect once.", key=idempotency.HEADER
        )
    else:
        how = message("Repeat the request: that is safe, it takes effect once.")
    return join_messages(known, how)
