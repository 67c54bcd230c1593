"""What the tests of outages share: a quiz, its pages, and the answers in the database."""

from __future__ import annotations

import re
from dataclasses import dataclass

import httpx2
from playwright.sync_api import Locator, Page, Route, expect

from webapp.lab.services.database_server import DatabaseServer
from webapp.lab.services.poolproof_service import PoolproofService

RECOVERY_TIMEOUT = 60_000
"""Milliseconds until a page that has waited long for a server has tried again."""
BUSY = 503
MAX_ATTEMPTS = 30
QUESTIONS = {
    "Who is lent by the second?": ("A connection", "A lifeguard", "A towel"),
    "What does a queue promise?": ("Order", "Speed"),
    "Which of these can swim?": ("Otters", "Elephants", "Bricks"),
}


@dataclass(frozen=True)
class Quiz:
    """A published quiz; `choices` maps the text of a choice to its item and bit."""

    id: int
    address: str
    choices: dict[str, tuple[int, int]]


def publish_quiz(service: PoolproofService, title: str) -> Quiz:
    """Create and publish a quiz of the questions above over REST; the last one has several right choices."""
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


def _author(service: PoolproofService) -> httpx2.Client:
    api = f"{service.address}/api/v1/"
    token = httpx2.post(f"{api}tokens", json={"name": "author", "password": service.password}).json()["token"]
    return httpx2.Client(base_url=api, headers={"Authorization": f"Bearer {token}"})


def _created(author: httpx2.Client, path: str, body: dict[str, object]) -> dict[str, int]:
    answer = author.post(path, json=body)
    assert answer.is_success, answer.text
    created: dict[str, int] = answer.json() if answer.content else {}
    return created


def open_quiz(page: Page, quiz: Quiz, name: str) -> None:
    """Open the quiz and enter a name."""
    page.goto(quiz.address)
    page.get_by_label("Your name on the leaderboard").fill(name)


def start(page: Page, quiz: Quiz, name: str, *, javascript: bool = True) -> None:
    open_quiz(page, quiz, name)
    page.get_by_role("button", name="Start").click()
    # Without the script all questions are visible; it shows only the first that has no answer.
    expect(page.get_by_role("group")).to_have_count(1 if javascript else len(QUESTIONS))


def choose(page: Page, *choices: str) -> None:
    """Answer the question that is shown."""
    for choice in choices:
        page.get_by_label(choice, exact=True).check()


def next_question(page: Page) -> None:
    page.get_by_role("button", name="Next").click()


def answer_status(page: Page) -> Locator:
    """Return the status line of the page."""
    return page.locator("form.play .status")


def expect_saved(page: Page, timeout: float = RECOVERY_TIMEOUT) -> None:
    """Wait until every answer is saved.

    The page says "All answers are saved" where one was not saved at the first try: by a server that is unavailable, but
    also by one whose disk stands still for longer than the two seconds that a player waits for a commit.
    """
    expect(answer_status(page)).to_have_text(re.compile("^(Saved|All answers are saved)$"), timeout=timeout)


def deliver(route: Route) -> None:
    """Continue a request that was held, again while the server is too busy for it."""
    response = route.fetch()
    for _ in range(MAX_ATTEMPTS):
        if response.status != BUSY:
            break
        response = route.fetch()
    route.fulfill(response=response)


def stored(server: DatabaseServer, quiz: Quiz, name: str) -> set[str]:
    """Return the choices of a player in the database."""
    rows = server.execute(
        "SELECT item_id, chosen FROM answer JOIN attempt ON attempt.id = attempt_id WHERE player_name = %s",
        [name],
        "poolproof",
    )
    bits = dict(rows)
    assert len(bits) == len(rows), "an answer is stored twice"
    return {text for text, (item, bit) in quiz.choices.items() if bits.get(item, 0) & bit}


def stored_keys(page: Page) -> list[str]:
    """Return the keys that this browser stores."""
    keys: list[str] = page.evaluate("Object.keys(localStorage)")
    return keys


def wait_until_nothing_is_stored(page: Page) -> None:
    """Wait, as expect() would; the page's security policy forbids Playwright's own polling."""
    for _ in range(RECOVERY_TIMEOUT // 100):
        if not stored_keys(page):
            return
        page.wait_for_timeout(100)
    raise AssertionError(stored_keys(page))
