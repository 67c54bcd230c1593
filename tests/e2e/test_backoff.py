"""How long a client waits before the next try, with loaded dice and a stopped clock."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.e2e.conftest import Visitor

pytestmark = pytest.mark.journey

# Returns the waits in seconds, one after each of these failures; `isHurried`: with a retrySoon() after each.
WAITS = """async ([dice, failures, isHurried]) => {
  const { Backoff } = await import("/static/backoff.js");
  const backoff = new Backoff(), waits = [];
  Math.random = () => dice;
  performance.now = () => 1000;
  window.setTimeout = (callback, milliseconds) => { waits.push(milliseconds / 1000); };
  for (const retryAfter of failures) {
    backoff.recordFailure(retryAfter);
    if (isHurried) backoff.retrySoon();
    backoff.wait();
  }
  return waits;
}"""


@pytest.fixture
def page(visitor: Visitor) -> Page:
    page = visitor.page()
    page.goto("/")
    return page


def waits(page: Page, dice: float, failures: list[str | None], *, hurried: bool = False) -> list[float]:
    # Each in a page of its own: the dice are loaded for good.
    page.reload()
    seconds: list[float] = page.evaluate(WAITS, [dice, failures, hurried])
    return seconds


def test_without_a_wish_of_the_server_waits_double_up_to_half_a_minute(page: Page) -> None:
    assert waits(page, 1, [None] * 7) == [1, 2, 4, 8, 16, 30, 30]


def test_waits_are_spread_from_nothing_up_so_that_no_two_come_together(page: Page) -> None:
    assert waits(page, 0.25, [None] * 3) == [0.25, 0.5, 1]
    assert waits(page, 0, [None] * 3) == [0, 0, 0]


@pytest.mark.parametrize("dice", [0, 0.5, 1])
def test_nobody_comes_before_the_time_that_the_server_names_and_not_all_at_it(page: Page, dice: float) -> None:
    assert waits(page, dice, ["5", "5"]) == [5 + dice, 5 + 2 * dice]


def test_good_news_shortens_a_long_wait_but_not_the_servers_wish(page: Page) -> None:
    assert waits(page, 0.5, [None, None, None, None], hurried=True)[-1] == 0.5
    assert waits(page, 0.5, ["7"], hurried=True)[-1] == 7.5


@pytest.mark.parametrize("retry_after", ["soon", "", "-3", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_wish_that_means_nothing_is_none(page: Page, retry_after: str) -> None:
    assert waits(page, 0, [retry_after]) == [0]


def test_a_wish_may_be_a_date_and_is_never_followed_for_hours(page: Page) -> None:
    assert waits(page, 0, ["Wed, 21 Oct 2099 07:28:00 GMT"]) == [600]
    assert waits(page, 0, ["86400"]) == [600]
