"""What a request is answered that got no connection: 503, and when to come again."""

from __future__ import annotations

import json
import random

MIN_RETRY_AFTER, MAX_RETRY_AFTER = 1, 5
SENTENCE = "No database connection was free in time. Please try again in a moment."
PROBLEM_TYPE = "application/problem+json"


def retry_after() -> str:
    """Return whole seconds, at random: those who are told at the same moment do not come back at the same moment."""
    return str(random.randint(MIN_RETRY_AFTER, MAX_RETRY_AFTER))  # noqa: S311 - no secret


def problem_body() -> str:
    """Return the answer as a problem (RFC 9457)."""
    return json.dumps({"title": "Service Unavailable", "status": 503, "detail": SENTENCE})
