"""No page has a serious violation that axe-core can find, in the light or the dark colour scheme."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Visitor
from tests.e2e.outage import publish_quiz
from tests.e2e.test_console import come_in
from webapp.lab.services.poolproof_service import PoolproofService

pytestmark = pytest.mark.journey
SERIOUS = {"serious", "critical"}
# Only colours differ, and axe is loaded in the page by now. A button changes its colour in a transition.
COLOUR_VIOLATIONS = """async () => {
  await Promise.all(document.getAnimations().map((animation) => animation.finished));
  const rules = { type: "rule", values: ["color-contrast", "link-in-text-block"] };
  return (await axe.run({ runOnly: rules })).violations;
}"""


@pytest.fixture
def page(browser: Browser, service: PoolproofService) -> Iterator[Page]:
    visitor = Visitor(browser, service.console)
    yield visitor.page()
    visitor.close()


@pytest.fixture(scope="module")
def quiz_address(service: PoolproofService) -> str:
    return publish_quiz(service, "For everybody").address


def faults(page: Page) -> list[str]:
    """Return what axe finds in the light and, about colours, in the dark: rule and element."""
    violations = Axe().run(page).response["violations"]
    page.emulate_media(color_scheme="dark")
    violations += page.evaluate(COLOUR_VIOLATIONS)
    page.emulate_media(color_scheme="light")
    return [
        f"{violation['id']}: {node['html'][:120]} {node['failureSummary'][:200]}"
        for violation in violations
        if violation["impact"] in SERIOUS
        for node in violation["nodes"]
    ]


def listed(by_page: dict[str, list[str]]) -> str:
    return "\n".join(f"{name}: {fault}" for name, messages in by_page.items() for fault in messages)


@pytest.mark.slow(reason="axe looks at every page, light and dark")
def test_what_a_player_sees(page: Page, quiz_address: str) -> None:
    by_page: dict[str, list[str]] = {}
    page.goto("/")
    by_page["open quizzes"] = faults(page)
    page.goto(quiz_address)
    by_page["quiz"] = faults(page)
    page.get_by_label("Your name on the leaderboard").fill("Axel")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("group")).to_have_count(1)
    by_page["question"] = faults(page)
    page.get_by_role("radio").first.check()
    expect(page.locator("form.play .status")).to_have_text("Saved")
    by_page["saved"] = faults(page)
    for _ in range(2):
        page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Finish").click()
    expect(page.locator(".score")).to_be_visible()
    by_page["result"] = faults(page)
    page.goto(f"{quiz_address}/leaderboard")
    by_page["leaderboard"] = faults(page)
    page.goto("/nowhere")
    by_page["not found"] = faults(page)
    page.goto("/problems")
    by_page["problems"] = faults(page)
    assert not listed(by_page), listed(by_page)


@pytest.mark.slow(reason="axe looks at every page, light and dark")
def test_what_an_author_and_an_operator_see(page: Page, operator: str, quiz_address: str) -> None:
    by_page: dict[str, list[str]] = {}
    page.goto("/sign-in")
    by_page["sign in"] = faults(page)
    come_in(page, operator)
    by_page["console"] = faults(page)
    page.goto("/console/actions/pause?lane=background")
    by_page["confirm"] = faults(page)
    page.get_by_role("button", name="Confirm").click()
    expect(page.locator("#diagnosis")).to_contain_text("paused by an operator")
    by_page["console with a warning"] = faults(page)
    page.goto("/console/actions/resume?lane=background")
    page.get_by_role("button", name="Confirm").click()
    page.goto("/console/audit")
    by_page["audit log"] = faults(page)
    page.goto("/studio")
    by_page["studio"] = faults(page)
    page.goto("/studio/collections")
    by_page["collections"] = faults(page)
    page.get_by_role("button", name="Collect from Open Trivia DB").click()
    by_page["a collection"] = faults(page)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    page.goto("/studio/quizzes/new")
    by_page["new quiz"] = faults(page)
    page.goto("/studio")
    page.get_by_role("link", name="For everybody", exact=True).click()
    by_page["studio quiz"] = faults(page)
    page.get_by_role("link", name="Results", exact=True).click()
    by_page["results"] = faults(page)
    page.goto("/docs")
    expect(page.get_by_text("/api/v1/quizzes").first).to_be_visible()
    by_page["API"] = faults(page)
    assert not listed(by_page), listed(by_page)
