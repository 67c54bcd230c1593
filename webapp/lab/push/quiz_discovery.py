"""Which quiz is pushed: an open one, found through the service's own door."""

from __future__ import annotations

from contextlib import closing

from webapp.lab.loadgen.http_client import HttpClient
from webapp.lab.loadgen.player import OK_STATUSES


class NoQuizError(Exception):
    """There is nothing to play, or it cannot be read."""


async def find_open_quiz(host: str, port: int, slug: str | None) -> tuple[str, int, list[tuple[int, int]]]:
    """Return slug and id of a quiz, and each question's item with the number of its choices.

    Raises:
        NoQuizError: when it is not open; without a `slug`, when none is.
    """
    with closing(HttpClient(host, port)) as browser:
        listed = (await browser.request("GET", "/api/v1/quizzes?limit=100")).json()["quizzes"]
        chosen = next((one for one in listed if slug in {None, one["slug"]}), None)
        if chosen is None:
            raise NoQuizError(f"There is no open quiz{f' {slug}' if slug else ''} at http://{host}:{port}.")
        answer = await browser.request("GET", f"/api/v1/quizzes/{chosen['id']}")
    if answer.status not in OK_STATUSES:
        raise NoQuizError(f"The quiz {chosen['slug']} cannot be read: status {answer.status}.")
    found = answer.json()
    items = [(one["item"], len(one["choices"])) for one in found["questions"]]
    return chosen["slug"], found["id"], items
