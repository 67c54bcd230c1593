"""The page about the way of an answer names the modules that a real answer passes, and no others."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from flask import Flask

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.waiting import wait_until
from webapp.attempts.service import get_attempt_service
from webapp.lab.factories import make_quiz
from webapp.quizzes.published_cache import PublishedQuizCache

PAGE = Path(__file__).resolve().parents[2] / "docs" / "the-way-of-an-answer.md"
MODULE = re.compile(r"\b(?:webapp|poolproof)\.[a-z_.]+")
MAX_MODULES = 20


class Received:
    """An answer as the worker has parsed it."""

    method, query, scheme = "PUT", "", "http"

    def __init__(self, path: str, body: bytes) -> None:
        self.path = path
        self.fields = {"CONTENT-TYPE": "application/json", "CONTENT-LENGTH": str(len(body))}


class Deferred:
    """Stands for the worker: has the request, and takes the response that the thread of the commit sends."""

    def __init__(self, path: str) -> None:
        self._body = b'{"choices": [0]}'
        self.request = Received(path, self._body)
        self.environ: dict[str, Any] = {}
        self.sent: list[tuple[str, bytes, bytes]] = []

    def read_body(self) -> bytes:
        return self._body

    def complete_raw(self, status: str, headers: bytes, body: bytes) -> None:
        self.sent.append((status, headers, body))


class TracedAnswers:
    """Answers one item of an attempt again and again, without Flask."""

    def __init__(self, app: Flask, work: UnitOfWork) -> None:
        quiz = make_quiz(work)
        started = app.test_client().post(f"/api/v1/quizzes/{quiz.quiz_id}/attempts", json={"name": "Ada"})
        self._path = f"{started.headers['Location']}/answers/{quiz.document.questions[0].item_id}"
        self._fast_path = app.extensions["fast_path"]
        self.modules: set[str] = set()

    def answer(self, *, is_traced: bool = False) -> Deferred:
        """Send an answer, and return when it was answered."""
        deferred = Deferred(self._path)
        sys.setprofile(self._add_module if is_traced else None)
        try:
            is_taken = self._fast_path(deferred)
        finally:
            sys.setprofile(None)
        assert is_taken
        wait_until(lambda: bool(deferred.sent))
        return deferred

    def _add_module(self, frame: FrameType, event: str, _: Any) -> None:
        name = frame.f_globals.get("__name__", "")
        if event == "call" and not name.startswith("tests.") and MODULE.fullmatch(name):
            self.modules.add(name)


@pytest.fixture
def traced(app: Flask, work: UnitOfWork, monkeypatch: pytest.MonkeyPatch) -> TracedAnswers:
    service = get_attempt_service(app)
    monkeypatch.setattr(service.rate_limiter, "_rate", 100.0)
    # As it is in a service; for other tests nothing is kept in memory.
    monkeypatch.setattr(service, "quiz_cache", PublishedQuizCache(work.read, ttl=60))
    return TracedAnswers(app, work)


def test_an_answer_passes_the_modules_of_the_picture_and_no_others(traced: TracedAnswers) -> None:
    for _ in range(5):
        traced.answer()
    (sent,) = traced.answer(is_traced=True).sent
    assert (sent[0], json.loads(sent[2])["saved"]) == ("200 OK", True)
    pictures = PAGE.read_text().split("```")
    assert traced.modules == set(MODULE.findall(pictures[3]))
    assert len(traced.modules) <= MAX_MODULES
