"""The console in a real browser: it refreshes by itself, executes actions, and pauses in a hidden tab."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pymysql
import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect
from sqlalchemy import make_url

from tests.e2e.conftest import Visitor, let_time_pass, sign_in_as
from tests.integration.fleet import PASSWORD, fleet
from tests.support.narrowing import not_none
from tests.unit.console.crowded_fleet import WORD, live_parts
from webapp.lab.services.poolproof_service import PoolproofService
from webapp.lab.services.programs import Flavour

pytestmark = pytest.mark.journey


@pytest.fixture
def console(browser: Browser, service: PoolproofService) -> Iterator[Visitor]:
    visitor = Visitor(browser, service.console)
    yield visitor
    visitor.close()
    assert visitor.complaints == []


def come_in(page: Page, name: str, address: str = "/console?interval=1") -> Page:
    sign_in_as(page, name, PASSWORD, address)
    expect(page.locator("[data-diagnosis]")).to_be_visible()
    # Its elements are visible before its styles are loaded.
    page.wait_for_load_state()
    return page


@contextmanager
def a_request_that_lingers(service: PoolproofService, connect: Callable[[], pymysql.Connection[Any]]) -> Iterator[None]:
    """One request that waits for a table that another connection has locked."""
    with closing(connect()) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLES quiz_version WRITE")
        request = threading.Thread(target=lambda: httpx2.get(f"{service.address}/", timeout=30))
        request.start()
        yield
        cursor.execute("UNLOCK TABLES")
    request.join()


@pytest.fixture
def connect(service: PoolproofService) -> Callable[[], pymysql.Connection[Any]]:
    """Connect to the service's database beside it."""
    url = make_url(service.environment["DATABASE_URL"])
    return lambda: pymysql.connect(
        host=url.host, port=not_none(url.port), user=url.username, password=url.password or "", database=url.database,
        ssl_disabled=True,
    )  # fmt: skip


@pytest.mark.slow(reason="a request has to hold a connection until it is named")
def test_a_hold_appears_by_itself_and_is_ended_from_the_page(
    console: Visitor, service: PoolproofService, operator: str, connect: Callable[[], pymysql.Connection[Any]]
) -> None:
    page = come_in(console.page(width=1280), operator)
    expect(page.locator("#holders")).to_contain_text("No connection has been checked out")
    with a_request_that_lingers(service, connect):
        held = page.locator("#holders li").filter(has_text="GET quiz_pages.open_quizzes")
        expect(held).to_be_visible()
        expect(held).to_contain_text("checked out at webapp/quizzes/pages.py:")
        expect(page.locator("#diagnosis")).to_contain_text("one long statement")
        held.get_by_role("link", name="End").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("held by GET quiz_pages.open_quizzes")
        page.get_by_role("button", name="Confirm").click()
        expect(page.get_by_role("status").filter(has_text="Ended connection")).to_be_visible()
        expect(page.locator("#holders")).to_contain_text("No connection has been checked out")
    page.get_by_role("link", name="Audit log", exact=True).click()
    expect(page.locator("table")).to_contain_text("Ended connection")


def test_a_change_of_state_is_heard_once_and_what_was_opened_stays_open(
    console: Visitor, service: PoolproofService, operator: str, connect: Callable[[], pymysql.Connection[Any]]
) -> None:
    page = come_in(console.page(width=1280, clock=True), operator)
    refreshes = Refreshes(page)
    expect(page.locator("#announcement")).to_have_text("")
    page.evaluate(
        "() => { window.announced = []; const element = document.getElementById('announcement');"
        " const record = () => window.announced.push(element.textContent);"
        " new MutationObserver(record).observe(element, { childList: true }); }"
    )
    with a_request_that_lingers(service, connect):
        let_time_pass(page, lambda: "one long statement" in page.locator("#announcement").inner_text())
        page.locator("#holders summary").first.click()
        before = refreshes.finished
        let_time_pass(page, lambda: refreshes.finished >= before + 3)
        expect(page.locator("#holders details").first).to_have_attribute("open", "")
        announced = page.evaluate("window.announced")
    # Its seconds grow, and after some it becomes critical; each severity is announced once.
    assert len({text.partition(" has held ")[0] for text in announced}) == len(announced)
    let_time_pass(page, lambda: "one long statement" not in page.locator("#announcement").inner_text())


def test_a_resize_is_asked_for_confirmed_and_seen(console: Visitor, operator: str) -> None:
    page = come_in(console.page(), operator)
    page.get_by_label("Connections", exact=True).fill("6")
    page.get_by_role("button", name="Resize").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Give each worker's interactive lane 6 connections?")
    page.get_by_role("button", name="Confirm").click()
    expect(page.locator("#workers")).to_contain_text("/6,")
    page.get_by_label("Connections", exact=True).fill("8")
    page.get_by_role("button", name="Resize").click()
    page.get_by_role("button", name="Confirm").click()
    expect(page.locator("#workers")).to_contain_text("/8,")


def test_filters_stand_in_the_address(console: Visitor, operator: str) -> None:
    page = come_in(console.page(), operator)
    page.get_by_label("Lane", exact=True).select_option("background")
    page.get_by_label("History").select_option("day")
    assert "lane=background" in page.url
    assert "span=day" in page.url
    page.reload()
    expect(page.get_by_label("Lane", exact=True)).to_have_value("background")
    expect(page.locator("#past-title")).to_have_text("The last day")


class Refreshes:
    """The requests of a page that refresh it: how many have begun, and how many are finished."""

    def __init__(self, page: Page) -> None:
        self.begun = self.finished = 0
        page.on("request", self._begin)
        page.on("requestfinished", self._end)

    def _begin(self, request: Request) -> None:
        self.begun += is_refresh(request)

    def _end(self, request: Request) -> None:
        self.finished += is_refresh(request)


def is_refresh(request: Request) -> bool:
    return "part=live" in request.url


def now(page: Page) -> float:
    """The page's clock in milliseconds."""
    moment: float = page.evaluate("performance.now()")
    return moment


MINUTE = 60_000
LONG_INTERVAL = "/console?interval=10"


def test_one_look_at_a_time_and_a_pause_between_two(console: Visitor, operator: str) -> None:
    page = come_in(console.page(clock=True), operator)
    held: list[Route] = []
    page.route("**/console?*part=live*", lambda route: held.append(route))  # noqa: PLW0108 - Playwright takes no built-in
    let_time_pass(page, lambda: len(held) == 1)
    # Less than the time-out of a request; and the tab comes to the front, which refreshes it at once.
    page.clock.fast_forward(5_000)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_timeout(200)
    assert len(held) == 1, "a second refresh before the first was finished"
    with page.expect_request_finished(is_refresh):
        held[0].continue_()
    finished_at = now(page)
    let_time_pass(page, lambda: len(held) == 2)
    assert now(page) - finished_at > 900
    held[1].continue_()


def test_no_look_while_it_is_paused(console: Visitor, operator: str) -> None:
    page = come_in(console.page(clock=True), operator, LONG_INTERVAL)
    page.get_by_role("button", name="Pause").click()
    refreshes = Refreshes(page)
    refreshes_only_when_triggered(page, refreshes, page.get_by_role("button", name="Resume", exact=True).click)


def test_no_look_in_a_hidden_tab(console: Visitor, operator: str) -> None:
    page = come_in(console.page(clock=True), operator, LONG_INTERVAL)
    page.evaluate(
        "Object.defineProperty(document, 'hidden', { value: true, configurable: true });"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    refreshes = Refreshes(page)
    show = "delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))"
    refreshes_only_when_triggered(page, refreshes, lambda: page.evaluate(show))


def refreshes_only_when_triggered(page: Page, refreshes: Refreshes, trigger: Callable[[], object]) -> None:
    """Nothing is requested in a minute, and then one request at once."""
    # In steps: a refresh sets its timer again when it is finished.
    for _ in range(6):
        page.clock.fast_forward(MINUTE // 6)
        page.wait_for_timeout(100)
    assert refreshes.begun == 0
    with page.expect_request_finished(is_refresh):
        trigger()
    page.wait_for_timeout(200)
    assert refreshes.begun == 1


OVERFLOWS = """() => {
  const width = document.documentElement.clientWidth, overflows = [];
  if (document.documentElement.scrollWidth > width) overflows.push(`the page: ${document.documentElement.scrollWidth}`);
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), range = document.createRange();
  while (texts.nextNode()) {
    const text = texts.currentNode, box = text.parentElement.closest(".table-scroll"), element = text.parentElement;
    if (element.closest(".visually-hidden, .skip-link, thead, script, option")) continue;
    range.selectNodeContents(text);
    const right = (box ?? range).getBoundingClientRect().right;
    if (right > width) overflows.push(`${element.tagName}.${element.className} ${text.data.slice(0, 40)}: ${right}`);
  }
  return overflows;
}"""
"""Returns the elements that are wider than the page, also those that are cut off, unless they can be scrolled to."""


def find_overflows(page: Page) -> list[str]:
    overflows: list[str] = page.evaluate(OVERFLOWS)
    return overflows


def lengthen_every_word(page: Page, word: str) -> None:
    """Make each text longer than a phone is wide, except the ends of scales, which are fixed numbers."""
    page.evaluate(
        """(word) => {
          const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), all = [];
          while (texts.nextNode()) if (texts.currentNode.data.trim()) all.push(texts.currentNode);
          for (const text of all)
            if (!text.parentElement.closest("script, .axis-labels span:not(:nth-child(2))")) text.data += word;
        }""",
        word,
    )


def test_whatever_it_has_to_show_it_fits_a_phone(console: Visitor, operator: str, tmp_path: Path) -> None:
    page = come_in(console.page(), operator)
    parts = live_parts(tmp_path)
    page.route("**/console?*part=live*", lambda route: route.fulfill(body=parts, content_type="text/html"))
    expect(page.locator("#server")).to_contain_text(WORD)
    page.get_by_role("button", name="Pause").click()
    for details in page.locator("#live details").all():
        details.evaluate("(details) => { details.open = true; }")
    assert find_overflows(page) == []
    lengthen_every_word(page, WORD)
    assert find_overflows(page) == []


def test_its_other_pages_fit_a_phone_too(console: Visitor, operator: str) -> None:
    page = come_in(console.page(), operator)
    for address in ("/console/audit", "/console/reports", "/console/actions/pause?lane=background"):
        page.goto(address)
        lengthen_every_word(page, WORD)
        assert find_overflows(page) == [], address


def test_everything_is_within_reach_of_the_keyboard_and_fits_a_phone(console: Visitor, operator: str) -> None:
    page = come_in(console.page(), operator)
    assert find_overflows(page) == []
    focused = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        focused.add(page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
    assert {"interval", "process", "lane", "span", "pause", "connections", "Resize…"} <= focused


def test_without_script_the_page_is_whole_and_looks_again_when_asked(console: Visitor, operator: str) -> None:
    page = come_in(console.page(javascript=False), operator)
    page.get_by_label("Lane", exact=True).select_option("console")
    page.get_by_role("button", name="Apply").click()
    assert "lane=console" in page.url
    expect(page.locator("#doctor")).to_contain_text("max_connections")


def test_a_console_that_only_shows_has_nothing_to_press(
    browser: Browser, migrated_schema: Callable[[str, str], str], tmp_path: Path
) -> None:
    url = migrated_schema("sqlite", "shown")
    with fleet(url, tmp_path, 1, "wsgi:app", POOLPROOF_CONSOLE_READ_ONLY="true") as running:
        visitor = Visitor(browser, running.console)
        page = come_in(visitor.page(), "grace")
        expect(page.locator("#workers")).to_contain_text("worker 1")
        expect(page.get_by_text("This console is read-only")).to_be_visible()
        assert page.get_by_role("button", name="Resize").count() == 0
        assert page.get_by_role("link", name="Drain").count() == 0
        page.goto("/console/actions/pause?lane=background")
        expect(page.get_by_role("alert")).to_contain_text("This console is read-only")
        visitor.close()
    assert visitor.complaints == []


def test_an_author_may_not_look(console: Visitor, service: PoolproofService, server_flavour: Flavour) -> None:
    page = console.page()
    page.goto("/sign-in?next=/console")
    page.get_by_label("Name").fill("author")
    page.get_by_label("Password").fill(service.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Your role does not allow this")
    console.complaints.clear()
