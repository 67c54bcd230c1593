"""What is counted of requests that hold a connection without need."""

from __future__ import annotations

from poolproof.metrics import blocking_calls


def test_an_activity_is_counted_by_its_first_word() -> None:
    before = blocking_calls.BLOCKING_CALLS.counts.get("rendering", 0)
    blocking_calls.count("rendering home.html")
    assert blocking_calls.BLOCKING_CALLS.counts["rendering"] == before + 1
