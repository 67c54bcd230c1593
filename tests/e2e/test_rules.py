"""The rules of a quiz in a browser: right answers after closing, and a change that makes no new version."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Visitor, sign_in_as
from tests.e2e.outage import publish_quiz
from tests.support.waiting import wait_until
from webapp.lab.services.poolproof_service import PoolproofService

pytestmark = pytest.mark.journey


def open_studio(visitor: Visitor, service: PoolproofService, title: str) -> Page:
    page = visitor.page(width=1280)
    sign_in_as(page, "author", service.password, "/studio")
    page.get_by_role("link", name=title).click()
    return page


def start(visitor: Visitor, address: str, name: str) -> Page:
    page = visitor.page()
    page.goto(address)
    page.get_by_label("Your name on the leaderboard").fill(name)
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("group")).to_have_count(1)
    return page


def save_an_answer(page: Page) -> None:
    page.get_by_role("group").locator("input").first.check()
    expect(page.get_by_role("status")).to_have_text("Saved")


def finish(page: Page) -> None:
    while page.get_by_role("button", name="Next").is_visible():
        page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Finish").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("you have")


def reload_until(page: Page, is_shown: Callable[[], bool]) -> None:
    """Reload a page until it shows something: the worker that did not change a rule sees it within a second."""

    def shows() -> bool:
        page.reload()
        return is_shown()

    wait_until(shows, "the page does not show it")


def test_right_answers_come_when_the_author_closes_the_quiz_also_to_who_never_pressed_finish(
    visitor: Visitor, service: PoolproofService
) -> None:
    address = publish_quiz(service, "Rules in a browser").address
    studio = open_studio(visitor, service, "Rules in a browser")
    studio.get_by_label("Closes", exact=True).fill("2999-01-01T18:00")
    studio.get_by_role("button", name="Save the rules").click()
    expect(studio.get_by_role("status").first).to_contain_text("no new version was made")
    finished, never, nothing = (start(visitor, address, name) for name in ("Grace", "Ada", "Alan"))
    for page in (finished, never):
        save_an_answer(page)
    finish(finished)
    expect(finished.get_by_text("The right answers are shown on this page when the quiz has closed")).to_be_visible()
    expect(finished.locator("small", has_text="right answer")).to_have_count(0)
    studio.get_by_role("button", name="Close now").click()
    expect(studio.get_by_role("status").first).to_contain_text("Closed")
    expect(studio.get_by_text("its players can see the right answers")).to_be_visible()
    for page in (finished, never):
        reload_until(page, lambda page=page: page.locator("small", has_text="right answer").count() > 0)  # type: ignore[misc]
    reload_until(nothing, lambda: nothing.get_by_role("heading", name="The quiz has closed").is_visible())
    assert visitor.complaints == []


def test_the_author_reads_what_a_new_version_does_before_there_is_one(
    visitor: Visitor, service: PoolproofService
) -> None:
    publish_quiz(service, "Published twice")
    studio = open_studio(visitor, service, "Published twice")
    button = studio.get_by_role("button", name="Publish version 2")
    expect(button).not_to_be_visible()
    studio.get_by_text("Publish a new version").click()
    expect(studio.get_by_text("The leaderboard and the results begin anew")).to_be_visible()
    button.click()
    expect(studio.get_by_role("status")).to_contain_text("Published as version 2")
    assert studio.evaluate("document.documentElement.scrollWidth") <= 1280


WRONG_CLOCK = """(() => {
  const present = Date.now;
  Date.now = () => present() + 3600_000;
})();"""


def test_time_runs_out_by_the_servers_clock_on_a_device_whose_own_is_an_hour_wrong(
    visitor: Visitor, service: PoolproofService
) -> None:
    address = publish_quiz(service, "Twelve seconds").address
    studio = open_studio(visitor, service, "Twelve seconds")
    studio.get_by_label("Minutes for an attempt").fill("0.2")
    studio.get_by_role("button", name="Save the rules").click()
    expect(studio.get_by_role("status").first).to_contain_text("Saved.")
    plain = visitor.page(javascript=False)
    reload_at = f"{address}?time"
    wait_until(lambda: "12.0 s from the start" in _text_of(plain, reload_at), "the page does not say the time")
    player = visitor.page()
    player.add_init_script(WRONG_CLOCK)
    player.goto(address)
    player.get_by_label("Your name on the leaderboard").fill("Ada")
    player.get_by_role("button", name="Start").click()
    expect(player.get_by_role("timer")).to_have_text(re.compile(r"0:(1[0-2]|0\d)"))
    player.keyboard.press("1")
    expect(player.locator(".play .status")).to_have_text("Saved")
    expect(player.locator(".clock-status")).to_have_text("Ten seconds left.")
    expect(player.get_by_role("heading", level=1)).to_contain_text("you have")


def _text_of(page: Page, address: str) -> str:
    page.goto(address)
    return page.locator("main").inner_text()
