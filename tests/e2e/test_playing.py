"""From an author's bank to a player's place on the leaderboard, in a browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Request, expect

from tests.e2e.conftest import Visitor, add_items, sign_in_as
from webapp.lab.services.poolproof_service import PoolproofService

pytestmark = pytest.mark.journey

RIGHT = {
    "Which of these is kept in a pool and lent by the second?": "A connection",
    "A browser can play this quiz.": "True",
    "What does a queue promise?": "First come, first served",
}


def sign_in(page: Page, service: PoolproofService) -> None:
    sign_in_as(page, "author", service.password, "/studio")
    expect(page.get_by_role("heading", name="Quizzes")).to_be_visible()


@pytest.fixture(scope="module")
def quiz(browser: object, service: PoolproofService) -> str:
    """An author builds a quiz from imported items, by searching, and publishes it; the address of its page."""
    visitor = Visitor(browser, service.address)  # type: ignore[arg-type]
    page = visitor.page(width=1280)
    sign_in(page, service)
    page.get_by_role("link", name="New quiz").click()
    page.get_by_label("Title").fill("Pools and queues")
    page.get_by_label("Description").fill("Three questions.")
    page.get_by_role("button", name="Begin").click()
    add_items(page, "kept lent", "browser", "queue prom")
    expect(page.get_by_role("heading", name=re.compile("Items in this quiz"))).to_contain_text("3")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_role("status")).to_contain_text("Published as version 1")
    address = page.get_by_role("link", name="quizzes/pools-and-queues").get_attribute("href")
    visitor.close()
    assert visitor.complaints == []
    assert address
    return address


def answer(page: Page, question: str, choice: str) -> None:
    page.get_by_role("group", name=question).get_by_label(choice, exact=True).check()


def test_a_player_with_javascript_gets_one_question_at_a_time_down_to_the_board(visitor: Visitor, quiz: str) -> None:
    page = visitor.page()
    page.goto("/")
    page.get_by_role("link", name="Pools and queues").click()
    page.get_by_label("Your name on the leaderboard").fill("Grace")
    page.get_by_role("button", name="Start").click()
    for number, (question, choice) in enumerate(RIGHT.items(), start=1):
        expect(page.get_by_role("group")).to_have_count(1)
        expect(page.get_by_text(f"{number} of 3")).to_be_visible()
        answer(page, question, choice)
        expect(page.get_by_role("status")).to_have_text("Saved")
        if number < 3:
            page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Finish").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Grace, you have 3 of 3 right")
    page.get_by_role("link", name="See the whole leaderboard").click()
    expect(page.get_by_role("row", name=re.compile("Grace"))).to_contain_text("3 / 3")


def test_a_player_without_javascript_sends_one_form_down_to_the_board(visitor: Visitor, quiz: str) -> None:
    page = visitor.page(javascript=False)
    page.goto(quiz)
    page.get_by_label("Your name on the leaderboard").fill("Alan")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("group")).to_have_count(3)
    questions = list(RIGHT.items())
    answer(page, *questions[0])
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").first).to_contain_text("Saved: 1 of 3 answered")
    answer(page, questions[1][0], "False")
    answer(page, *questions[2])
    page.get_by_role("button", name="Finish").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Alan, you have 2 of 3 right")
    expect(page.get_by_role("row", name=re.compile("Alan"))).to_contain_text("2 / 3")
    page.get_by_role("link", name="See the whole leaderboard").click()
    expect(page.get_by_role("heading", name="Leaderboard")).to_be_visible()


def test_a_saved_answer_is_still_there_after_a_reload(visitor: Visitor, quiz: str) -> None:
    page = visitor.page()
    page.goto(quiz)
    page.get_by_label("Your name on the leaderboard").fill("Edsger")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("group")).to_have_count(1)
    question, choice = next(iter(RIGHT.items()))
    answer(page, question, choice)
    expect(page.get_by_role("status")).to_have_text("Saved")
    page.goto(quiz)
    page.get_by_role("link", name="Continue where you were").click()
    expect(page.get_by_text("2 of 3")).to_be_visible()
    page.get_by_role("button", name="Back").click()
    expect(page.get_by_role("group", name=question).get_by_label(choice, exact=True)).to_be_checked()


def test_the_whole_quiz_can_be_played_from_the_keyboard(visitor: Visitor, quiz: str) -> None:
    page = visitor.page()
    page.goto(quiz)
    page.get_by_label("Your name on the leaderboard").fill("Barbara")
    page.keyboard.press("Enter")
    expect(page.get_by_role("group")).to_have_count(1)
    for number in range(3):
        page.keyboard.press("Tab")
        if number == 0:
            page.locator(".question:not([hidden]) input").first.focus()
        page.keyboard.press("Space")
        expect(page.get_by_role("status")).to_have_text("Saved")
        name = "Next" if number < 2 else "Finish"
        page.get_by_role("button", name=name).focus()
        page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Barbara, you have")


def test_the_author_sees_how_the_questions_were_answered(
    visitor: Visitor, service: PoolproofService, quiz: str
) -> None:
    page = visitor.page(width=1280)
    sign_in(page, service)
    page.get_by_role("row", name=re.compile("Pools and queues")).get_by_role("link", name="Results").click()
    expect(page.get_by_role("heading", name="Results")).to_be_visible()
    expect(page.get_by_role("heading", name="What does a queue promise?")).to_be_visible()


def test_the_first_visit_is_four_requests_and_all_up_to_the_first_question_is_below_thirty_kilobytes(
    visitor: Visitor, quiz: str
) -> None:
    page = visitor.page()
    sizes: dict[str, int] = {}

    def record_size(request: Request) -> None:
        # A file that comes from the browser's cache the second time counts once.
        sizes[request.url] = max(sizes.get(request.url, 0), request.sizes()["responseBodySize"])

    page.on("requestfinished", record_size)
    page.goto(quiz, wait_until="networkidle")
    assert len(sizes) <= 4
    page.get_by_label("Your name on the leaderboard").fill("Sophie")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("group")).to_have_count(1)
    page.wait_for_load_state("networkidle")
    assert 10_000 < sum(sizes.values()) < 30_000
    assert len([address for address in sizes if "/files/play.js" in address]) == 1


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("address", ["/", "{quiz}", "{quiz}/leaderboard", "/sign-in", "/problems"])
def test_no_page_is_wider_than_its_window(visitor: Visitor, quiz: str, address: str, width: int) -> None:
    page = visitor.page(width=width)
    page.goto(address.format(quiz=quiz))
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_api_is_documented_on_a_page_without_a_foreign_file(visitor: Visitor) -> None:
    page = visitor.page(width=1280)
    foreign: list[str] = []
    page.on(
        "request",
        lambda request: None if request.url.startswith(("http://127.0.0.1", "data:")) else foreign.append(request.url),
    )
    page.goto("/docs")
    expect(page.get_by_role("heading", name=re.compile("Poolproof")).first).to_be_visible()
    assert foreign == []
