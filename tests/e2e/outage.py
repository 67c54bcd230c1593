"""What the journeys with an absent server share: a quiz, its pages, and what the database says in the end."""

from __future__ import annotations

import re
from dataclasses import dataclass

import httpx
from playwright.sync_api import Locator, Page, Route, expect

from webapp.lab.services.database_server import DatabaseServer
from webapp.lab.services.poolproof_service import PoolproofService

BACK_WITHIN = 60_000
"""Milliseconds until a page that has waited long for a server has asked again."""
BUSY = 503
TRIES = 30
QUESTIONS = {
    "Who is lent by the second?": ("A connection", "A lifeguard", "A towel"),
    "What does a queue promise?": ("Order", "Speed"),
    "Which of these can swim?": ("Otters", "Elephants", "Bricks"),
}


@dataclass(frozen=True)
class Quiz:
    """A published quiz; `choices` says which number stands for a choice, as item and bit."""

    id: int
    address: str
    choices: dict[str, tuple[int, int]]


def publish_quiz(service: PoolproofService, title: str) -> Quiz:
    """Make and publish a quiz of the questions above over REST; the last one has several right choices."""
    with _author(service) as author:
        items = []
        for stem, choices in QUESTIONS.items():
            several = "swim" in stem
            right = [0, 1] if several else [0]
            body = {"kind": "multiple" if several else "single", "stem": f"{stem} ({title})", "choices": choices}
            items.append(_created(author, "items", body | {"right": right})["id"])
        quiz = _created(author, "quizzes", {"title": title, "items": items})
        _created(author, f"quizzes/{quiz['id']}/publish", {})
        published = author.get(f"quizzes/{quiz['id']}").json()
    numbers = {
        text: (question["item"], 1 << position)
        for question in published["questions"]
        for position, text in enumerate(question["choices"])
    }
    return Quiz(quiz["id"], f"/quizzes/{published['slug']}", numbers)


def close_quiz(service: PoolproofService, quiz: Quiz) -> None:
    with _author(service) as author:
        _created(author, f"quizzes/{quiz.id}/close", {})


def _author(service: PoolproofService) -> httpx.Client:
    api = f"{service.address}/api/v1/"
    token = httpx.post(f"{api}tokens", json={"name": "author", "password": service.password}).json()["token"]
    return httpx.Client(base_url=api, headers={"Authorization": f"Bearer {token}"})


def _created(author: httpx.Client, path: str, body: dict[str, object]) -> dict[str, int]:
    answer = author.post(path, json=body)
    assert answer.is_success, answer.text
    created: dict[str, int] = answer.json() if answer.content else {}
    return created


def come(page: Page, quiz: Quiz, name: str) -> None:
    """Open the quiz and give a name."""
    page.goto(quiz.address)
    page.get_by_label("Your name on the leaderboard").fill(name)


def start(page: Page, quiz: Quiz, name: str, *, javascript: bool = True) -> None:
    come(page, quiz, name)
    page.get_by_role("button", name="Start").click()
    # All questions are there before the script has come, which begins with the first that has no answer.
    expect(page.get_by_role("group")).to_have_count(1 if javascript else len(QUESTIONS))


def choose(page: Page, *choices: str) -> None:
    """Answer the question that is shown."""
    for choice in choices:
        page.get_by_label(choice, exact=True).check()


def go_on(page: Page) -> None:
    page.get_by_role("button", name="Next").click()


def said(page: Page) -> Locator:
    """What the page says about the answers."""
    return page.locator("form.play .status")


def expect_saved(page: Page, timeout: float = BACK_WITHIN) -> None:
    """Wait until every answer is saved.

    The page says "All answers are saved" where one was not taken at its first try: by a server that is away, but also
    by one whose disk stands still for longer than the two seconds that a player waits for a commit.
    """
    expect(said(page)).to_have_text(re.compile("^(Saved|All answers are saved)$"), timeout=timeout)


def deliver(route: Route) -> None:
    """Send a request on that was held, again while the server is too busy to take it."""
    response = route.fetch()
    for _ in range(TRIES):
        if response.status != BUSY:
            break
        response = route.fetch()
    route.fulfill(response=response)


def stored(server: DatabaseServer, quiz: Quiz, name: str) -> set[str]:
    """The choices that the database holds for a player."""
    rows = server.execute(
        "SELECT item_id, chosen FROM answer JOIN attempt ON attempt.id = attempt_id WHERE player_name = %s",
        [name],
        "poolproof",
    )
    bits = dict(rows)
    assert len(bits) == len(rows), "an answer is stored twice"
    return {text for text, (item, bit) in quiz.choices.items() if bits.get(item, 0) & bit}


def kept(page: Page) -> list[str]:
    """What this browser keeps."""
    keys: list[str] = page.evaluate("Object.keys(localStorage)")
    return keys


def wait_until_nothing_is_kept(page: Page) -> None:
    """Wait, as expect() would; the page's policy forbids Playwright's own way of asking again and again."""
    for _ in range(BACK_WITHIN // 100):
        if not kept(page):
            return
        page.wait_for_timeout(100)
    raise AssertionError(kept(page))
