"""The answer to a request that got no connection."""

from __future__ import annotations

import json

from poolproof.integrations import unavailable


def test_not_all_are_told_to_come_back_at_the_same_moment() -> None:
    seconds = {int(unavailable.retry_after()) for _ in range(200)}
    assert len(seconds) > 1
    assert seconds <= set(range(1, 6))


def test_the_problem_says_its_status() -> None:
    assert json.loads(unavailable.problem_body())["status"] == 503
