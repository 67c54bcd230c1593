"""An author imports a file of questions into the bank, and undoes the import."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Visitor
from tests.e2e.test_accessibility import faults
from tests.e2e.test_playing import sign_in
from webapp.lab.services.poolproof_service import PoolproofService

pytestmark = pytest.mark.journey

KNOWN = "A browser can play\nthis quiz.\n^ True\nA True\nB False\n"
GOOD = "What is returned when it is no longer needed?\n^ A connection\nA A connection\nB A favour\n"
ALIKE = "What does a queue promise?\n^ Patience\nA Patience\nB Pushing\n"
BAD = "Which one of these is both?\n^ Both\nA One\nB The other\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "more pools.txt"
    path.write_text("".join(f"#Q {question}\n" for question in (KNOWN, GOOD, ALIKE, BAD)))
    return path


def total(page: Page, name: str) -> str:
    term = page.locator("dt", has_text=re.compile(f"^{name}$"))
    return page.locator(".stats div").filter(has=term).locator("dd").inner_text().split()[0]


def count_items(page: Page, words: str) -> int:
    page.goto(f"/studio/items?search={words}")
    return page.locator(".search-results li").count()


@pytest.mark.parametrize("javascript", [True, False])
def test_a_file_is_looked_at_imported_and_undone(
    visitor: Visitor, service: PoolproofService, file: Path, *, javascript: bool
) -> None:
    page = visitor.page(javascript=javascript)
    sign_in(page, service)
    before = count_items(page, "queue promise")
    page.get_by_role("link", name="Import", exact=True).click()
    page.get_by_label("File").set_input_files(file)
    page.get_by_label("Format").select_option("OpenTriviaQA")
    page.get_by_label("Category").fill("Pools")
    page.get_by_role("button", name="See what is in it").click()

    expect(page.get_by_role("heading", name="more pools.txt")).to_be_visible()
    names = ("New", "Already in the bank", "Possible duplicates", "Rejected")
    assert [total(page, name) for name in names] == ["2", "1", "1", "1"]
    rejected = page.get_by_role("region", name="Rejected").get_by_role("row").last
    expect(rejected).to_contain_text("17")
    expect(rejected).to_contain_text("The answer 'Both' matches no option.")
    expect(page.get_by_role("region", name="Possible duplicates")).to_contain_text("What does a queue promise?")
    if javascript:
        assert faults(page) == []
    page.get_by_role("button", name="Import 2 items").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Imported: 2 new.")
    import_url = page.url
    assert count_items(page, "longer needed") == 1

    page.get_by_role("link", name=re.compile("What is returned")).click()
    expect(page.get_by_role("region", name="Where it comes from")).to_contain_text("Pools")
    page.get_by_role("link", name=re.compile("import \\d+")).click()
    assert page.url == import_url
    page.get_by_role("button", name="Undo this import").click()
    expect(page.get_by_role("status")).to_contain_text("Undone: 2 removed")
    assert count_items(page, "longer needed") == 0
    assert count_items(page, "queue promise") == before
    page.goto("/studio/import")
    expect(page.get_by_role("listitem").filter(has_text="more pools").first).to_contain_text("undone")


def test_no_page_of_the_bank_is_wider_than_a_phone(visitor: Visitor, service: PoolproofService, file: Path) -> None:
    page = visitor.page()
    sign_in(page, service)
    for address in ("/studio/items", "/studio/import"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
        assert faults(page) == []
    page.get_by_label("File").set_input_files(file)
    page.get_by_label("Format").select_option("OpenTriviaQA")
    page.get_by_role("button", name="See what is in it").click()
    expect(page.locator(".stats")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
