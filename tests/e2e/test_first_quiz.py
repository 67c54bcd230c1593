"""A newcomer's first quiz, from the front page to a QR code with five questions of their own, in few actions."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.conftest import Visitor
from webapp.lab.services.poolproof_service import PoolproofService

pytestmark = pytest.mark.journey

MOST_ACTIONS = 40


class Newcomer:
    """Counts and names what a person does: clicks, and fields that are filled."""

    def __init__(self) -> None:
        self.actions: list[str] = []

    def click(self, target: Locator) -> None:
        self.actions.append(f"click {target.inner_text() or target.get_attribute('name')}")
        target.click()

    def fill(self, target: Locator, text: str) -> None:
        self.actions.append(f"fill {target.get_attribute('name')}")
        target.fill(text)


def test_a_newcomer_has_a_qr_code_with_five_questions_of_their_own_after_forty_actions(
    visitor: Visitor, service: PoolproofService
) -> None:
    page = visitor.page(width=1280)
    person = Newcomer()
    page.goto("/")
    person.click(page.get_by_role("link", name="For authors"))
    person.fill(page.get_by_label("Name"), "author")
    person.fill(page.get_by_label("Password"), service.password)
    person.click(page.get_by_role("button", name="Sign in"))
    person.click(page.get_by_role("link", name="New quiz"))
    person.fill(page.get_by_label("Title"), "My first quiz")
    person.click(page.get_by_role("button", name="Begin"))
    person.click(page.get_by_role("link", name="Write a question"))
    for number in range(1, 6):
        person.fill(page.get_by_label("Question", exact=True), f"What is {number} + {number}?")
        person.fill(page.get_by_label("Choice", exact=True).nth(0), str(2 * number))
        person.fill(page.get_by_label("Choice", exact=True).nth(1), str(2 * number + 1))
        person.click(page.get_by_label("right", exact=True).first)
        name = "Save and write the next" if number < 5 else "Save and go to the quiz"
        person.click(page.get_by_role("button", name=name))
        expect(page.get_by_role("status").filter(has_text="it is in the quiz")).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile("Items in this quiz"))).to_contain_text("5")
    person.click(page.get_by_role("button", name="Publish"))
    expect(page.get_by_role("img", name=re.compile("QR code"))).to_be_visible()
    assert len(person.actions) <= MOST_ACTIONS, person.actions
