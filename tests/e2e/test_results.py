"""The author watches results while players answer, takes them along as files, and a player erases an attempt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Visitor, sign_in_as
from tests.e2e.outage import publish_quiz
from tests.e2e.test_accessibility import faults
from tests.support.spreadsheets import read_csv, read_xlsx
from webapp.lab.services.poolproof_service import PoolproofService

pytestmark = pytest.mark.journey


def file_behind(page: Page, name: str) -> bytes:
    with page.expect_download() as downloading:
        page.get_by_role("link", name=name, exact=True).click()
    return Path(downloading.value.path()).read_bytes()


@pytest.mark.slow(reason="axe looks at four pages, and the author waits for what players do")
def test_an_author_watches_a_quiz_and_takes_its_results_along_and_a_player_erases_hers(
    visitor: Visitor, service: PoolproofService
) -> None:
    quiz = publish_quiz(service, "Watched")
    studio = visitor.page(width=1280)
    sign_in_as(studio, "author", service.password, f"/studio/quizzes/{quiz.id}/results")
    expect(studio.get_by_text("This page follows the quiz")).to_be_visible()
    expect(studio.locator("#begun")).to_have_text("0")
    player = visitor.page()
    player.goto(quiz.address)
    player.get_by_label("Your name on the leaderboard").fill("=Grace")
    player.get_by_role("button", name="Start").click()
    player.get_by_role("group").locator("input").first.check()
    # Without a reload.
    expect(studio.locator("#begun")).to_have_text("1")
    expect(studio.get_by_role("rowheader", name="=Grace")).to_be_visible()
    expect(studio.get_by_role("row", name="=Grace")).to_contain_text("playing")
    while player.get_by_role("button", name="Next").is_visible():
        player.get_by_role("button", name="Next").click()
    player.get_by_role("button", name="Finish").click()
    expect(studio.locator("#finished")).to_have_text("1")
    assert faults(studio) == []
    stored = stored_players(service, quiz.id)
    marks = ["" if answer["mark"] == "missing" else answer["mark"] for answer in stored[0]["answers"]]
    row = read_csv(file_behind(studio, "CSV"))[1]
    assert (row[0], row[1], row[2], row[7::2]) == ("'=Grace", "finished", str(stored[0]["score"]), marks)
    cells = read_xlsx(file_behind(studio, "Excel"))[1]
    assert (cells["A"], cells["C"], cells.get("H", "")) == ("'=Grace", str(stored[0]["score"]), marks[0])
    player.get_by_role("link", name="What is stored of your attempt").click()
    assert faults(player) == []
    player.get_by_role("checkbox").check()
    player.get_by_role("button", name="Erase my attempt").click()
    expect(player.get_by_role("heading", level=1)).to_have_text("This attempt has been erased")
    expect(studio.locator("#begun")).to_have_text("0")
    assert stored_players(service, quiz.id) == []
    # A browser complains of every status like that of the page of an erased attempt.
    assert all("410 (GONE)" in complaint for complaint in visitor.complaints)
    visitor.complaints.clear()


def stored_players(service: PoolproofService, quiz: int) -> list[dict[str, Any]]:
    api = f"{service.address}/api/v1"
    token = httpx2.post(f"{api}/tokens", json={"name": "author", "password": service.password}).json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    found = httpx2.get(f"{api}/quizzes/{quiz}/results/players", headers=headers).json()
    return list(found["players"])
