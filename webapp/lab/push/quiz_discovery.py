"""Finds the quiz to play through the service's own REST interface."""

from __future__ import annotations

from http.client import HTTPException

from poolproof.lab.loadgen.http_client import OK_STATUSES, HttpResponse, InvalidResponseError, send_request


class NoQuizError(Exception):
    """There is no such open quiz, or it cannot be read."""


def find_open_quiz(host: str, port: int, slug: str | None) -> tuple[str, int, list[tuple[int, int]]]:
    """Return slug and id of an open quiz, and each question's item with the number of its choices.

    Raises:
        NoQuizError: when it is not open; without a `slug`, when none is.
        OSError: when the service cannot be reached.
        InvalidResponseError: when it does not answer with HTTP.
    """
    quizzes = _get(host, port, "/api/v1/quizzes?limit=100").json()["quizzes"]
    chosen = next((quiz for quiz in quizzes if slug in {None, quiz["slug"]}), None)
    if chosen is None:
        raise NoQuizError(f"There is no open quiz{f' {slug}' if slug else ''} at http://{host}:{port}.")
    response = _get(host, port, f"/api/v1/quizzes/{chosen['id']}")
    if response.status not in OK_STATUSES:
        raise NoQuizError(f"The quiz {chosen['slug']} cannot be read: status {response.status}.")
    items = [(question["item"], len(question["choices"])) for question in response.json()["questions"]]
    return chosen["slug"], chosen["id"], items


def _get(host: str, port: int, path: str) -> HttpResponse:
    try:
        return send_request(host, port, "GET", path)
    except HTTPException as error:
        raise InvalidResponseError(f"{type(error).__name__}: {error}") from error
