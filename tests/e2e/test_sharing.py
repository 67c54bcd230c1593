"""An author publishes an unlisted quiz, plays it for a test, and shows its code; players join on their phones."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Request, expect

from tests.e2e.conftest import Visitor, sign_in_as
from tests.e2e.test_accessibility import faults, listed
from webapp.lab.services.poolproof_service import PoolproofService

pytestmark = pytest.mark.journey


def publish_unlisted(page: Page, title: str) -> None:
    page.get_by_role("link", name="New quiz").click()
    page.get_by_label("Title").fill(title)
    page.get_by_role("button", name="Begin").click()
    for box in page.get_by_role("checkbox").all()[:3]:
        box.check()
    page.get_by_role("button", name="Add the ticked ones").click()
    expect(page.get_by_label("Time zone of these times")).to_have_value("Asia/Seoul")
    page.get_by_label("Who finds it").select_option("Only those who have the code or the address")
    page.get_by_role("button", name="Publish").click()


def test_an_author_shares_an_unlisted_quiz_and_phones_join_by_its_code(
    visitor: Visitor, service: PoolproofService
) -> None:
    by_page: dict[str, list[str]] = {}
    author = visitor.page(width=1280, time_zone="Asia/Seoul")
    sign_in_as(author, "author", service.password, "/studio")
    publish_unlisted(author, "Behind a code")
    code = author.locator(".join-code").inner_text()
    assert re.fullmatch(r"\w{3} \w{3}", code)
    by_page["share"] = faults(author)
    author.get_by_role("link", name="Test play").click()
    expect(author.get_by_role("note")).to_contain_text("Nothing is stored or counted.")
    for _ in range(2):
        author.locator("label.choice:visible").first.click()
        author.get_by_role("button", name="Next").click()
    author.get_by_role("button", name="Finish").click()
    expect(author.locator(".score")).to_be_visible()
    by_page["test play"] = faults(author)
    author.get_by_role("link", name="Back to the studio").click()
    author.get_by_role("link", name="Share").click()
    author.get_by_role("link", name="Page to print or project").click()
    expect(author.get_by_role("img", name=re.compile("QR code"))).to_be_visible()
    expect(author.locator(".join-code")).to_have_text(code)
    by_page["poster"] = faults(author)
    author.emulate_media(media="print")
    expect(author.get_by_role("button", name="Print")).to_be_hidden()
    expect(author.locator(".join-code")).to_be_visible()

    for javascript in (True, False):
        phone = visitor.page(javascript=javascript)
        phone.goto("/")
        expect(phone.get_by_text("Behind a code")).to_have_count(0)
        phone.get_by_label("Join code").fill(code.lower())
        phone.keyboard.press("Enter")
        phone.get_by_label("Your name on the leaderboard").fill(f"Grace {javascript}")
        phone.get_by_role("button", name="Start").click()
        expect(phone.get_by_role("group")).to_have_count(1 if javascript else 3)
    author.goto("/join")
    by_page["join"] = faults(author)
    assert not listed(by_page), listed(by_page)

    scanned = visitor.page()
    requests: set[str] = set()

    def count(request: Request) -> None:
        requests.add(request.url)

    scanned.on("request", count)
    scanned.goto(f"/join/{code.replace(' ', '')}", wait_until="networkidle")
    expect(scanned.get_by_role("heading", name="Behind a code")).to_be_visible()
    assert len(requests) <= 4
