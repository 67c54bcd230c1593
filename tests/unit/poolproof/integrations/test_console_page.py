"""The page by itself."""

from __future__ import annotations

from poolproof.fleet.registry import FleetSnapshot, Member
from poolproof.integrations.console_page import render_page

HOLDER = {"seconds": 4.5, "name": "GET <home>", "lane": "books", "place": "app.py:3 in home", "statement": "SELECT '<'"}


def test_what_an_application_names_is_text_and_no_markup() -> None:
    lane = {"used": 1, "idle": 0, "most": None, "waiting": 2, "oldest": 0.25}
    member = Member("1", {"name": "worker", "pid": 7}, {}, {"lanes": {"books": lane}, "holders": [HOLDER]}, 0.0)
    page = render_page(FleetSnapshot([member]), [{"at": 0.0, "kind": "leaked", "sentence": "A <b> leak."}])
    assert "GET &lt;home&gt;" in page
    assert "SELECT &#39;&lt;&#39;" in page
    assert "A &lt;b&gt; leak." in page
    assert "any number" in page


def test_a_fleet_that_has_nothing_to_tell_says_so() -> None:
    assert "No connection is held wrongly" in render_page(FleetSnapshot(), [])
