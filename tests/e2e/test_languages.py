"""The main pages in English and Korean at a phone's width: nothing is cut, and nothing has to be scrolled sideways."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Visitor
from tests.e2e.outage import publish_quiz
from tests.e2e.test_console import come_in
from webapp.lab.services.poolproof_service import PoolproofService

pytestmark = pytest.mark.journey
# What is wider than the page, or than the box that hides the rest of it. A table may scroll in a box of its own.
BROKEN_LAYOUT = """() => {
  const unread = ".visually-hidden, .skip-link, .table-scroll, svg";
  const isRead = (element) => element.checkVisibility() && !element.closest(unread);
  const page = document.documentElement;
  const wide = page.scrollWidth > page.clientWidth ? [`the page has ${page.scrollWidth} of ${page.clientWidth}`] : [];
  const cut = [...document.querySelectorAll("h1, h2, h3, p, a, button, label, legend, dt, dd, li, th, td")]
    .filter(isRead)
    .filter((element) => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0
      || element.getBoundingClientRect().right > page.clientWidth + 1)
    .map((element) => element.outerHTML.slice(0, 120));
  return [...wide, ...cut];
}"""
STUDIO_PAGES = ("/studio", "/studio/quizzes/new", "/studio/items", "/studio/import", "/studio/collections")
WORDS = {
    "en": ("Start", "Finish", "Next", "Your name on the leaderboard"),
    "ko": ("시작", "제출", "다음", "순위표에 표시할 이름"),
}


@pytest.fixture
def page(browser: Browser, service: PoolproofService) -> Iterator[Page]:
    visitor = Visitor(browser, service.console)
    yield visitor.page()
    visitor.close()
    # One of the pages is of an address that does not exist.
    assert [complaint for complaint in visitor.complaints if "404" not in complaint] == []


def visit_main_pages(page: Page, quiz_address: str, language: str, show: Callable[[str], None]) -> None:
    """Open the main pages one after the other, as an author who is signed in and plays; `show` is told of each."""
    start, finish, forward, name = WORDS[language]
    for address in ("/", "/nowhere", "/problems", *STUDIO_PAGES, "/console", "/console/audit", quiz_address):
        page.goto(address)
        expect(page.locator("html")).to_have_attribute("lang", language)
        show(address)
    page.get_by_label(name).fill("김하늘바다구름나무")
    page.get_by_role("button", name=start, exact=True).click()
    page.get_by_role("radio").first.check()
    expect(page.locator("form.play .status.success")).to_be_visible()
    show("question")
    for _ in range(2):
        page.get_by_role("button", name=forward, exact=True).click()
    page.get_by_role("button", name=finish, exact=True).click()
    expect(page.locator(".score")).to_be_visible()
    show("result")
    page.goto(f"{quiz_address}/leaderboard")
    show("leaderboard")
    page.goto("/studio")
    page.locator("main tbody a").first.click()
    expect(page).to_have_url(re.compile("/studio/quizzes/"))
    show("studio quiz")


@pytest.mark.slow(reason="every page in two languages")
def test_no_page_is_broken_on_a_phone_in_english_or_korean(
    page: Page, service: PoolproofService, operator: str
) -> None:
    broken: dict[str, list[str]] = {}
    come_in(page, operator)
    for language, switch in (("en", None), ("ko", "한국어")):
        if switch is not None:
            page.goto("/studio/items?search=pool")
            page.get_by_role("button", name=switch).click()
            # Back on the same page, and the search is still there.
            expect(page.locator("html")).to_have_attribute("lang", language)
            expect(page.get_by_role("searchbox")).to_have_value("pool")
        address = publish_quiz(service, f"A quiz in {language}").address

        def show(name: str, language: str = language) -> None:
            if faults := page.evaluate(BROKEN_LAYOUT):
                broken[f"{language} {name}"] = faults

        visit_main_pages(page, address, language, show)
    assert broken == {}


def test_the_switch_works_without_javascript_and_the_browsers_language_is_taken(
    browser: Browser, service: PoolproofService
) -> None:
    context = browser.new_context(base_url=service.address, locale="ko-KR", java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("진행 중인 퀴즈")
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_role("heading", level=1)).to_have_text("Open quizzes")
    context.close()
