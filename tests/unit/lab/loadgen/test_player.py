"""How a player tries again, and that those who behave as browsers do try again as the page does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import webapp
from poolproof.lab.loadgen.http_client import HttpResponse
from webapp.lab.loadgen import player

SCRIPT = (Path(webapp.__file__).parent / "static" / "backoff.js").read_text()
BUSY = HttpResponse(503, {"retry-after": "3"}, b"")


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("INITIAL_BACKOFF", player.PAGE_INITIAL_BACKOFF),
        ("MAX_BACKOFF", player.PAGE_MAX_BACKOFF),
        ("MAX_RETRY_AFTER", player.PAGE_MAX_RETRY_AFTER),
    ],
)
def test_the_times_are_those_of_the_script(name: str, seconds: float) -> None:
    found = re.search(rf"const {name} = ([\d_]+);", SCRIPT)
    assert found is not None
    assert int(found[1]) / 1000 == seconds


def test_nobody_comes_back_before_the_server_asks_for_it_and_each_at_another_moment() -> None:
    delays = [player.page_backoff(BUSY, 0) for _ in range(100)]
    assert min(delays) >= 3
    assert max(delays) <= 3 + player.PAGE_INITIAL_BACKOFF
    assert len(set(delays)) == 100


def test_without_a_reply_the_jitter_grows_up_to_its_bound() -> None:
    assert all(player.page_backoff(None, 0) <= player.PAGE_INITIAL_BACKOFF for _ in range(100))
    late = [player.page_backoff(None, 20) for _ in range(1000)]
    assert player.PAGE_MAX_BACKOFF / 2 < max(late) <= player.PAGE_MAX_BACKOFF
