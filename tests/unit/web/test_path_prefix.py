from __future__ import annotations

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from flask import Flask
from werkzeug.test import Client

from webapp.web.path_prefix import trust_proxies, with_prefix


def respond(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["SCRIPT_NAME"].encode()]


@pytest.mark.parametrize(
    ("header", "prefix"),
    [
        ("/quiz", "/quiz"),
        ("/quiz/", "/quiz"),
        ("/deep/quiz-1", "/deep/quiz-1"),
        ("/evil, /quiz", "/quiz"),
        ("/", ""),
        ("", ""),
        ("quiz", ""),
        ("//evil.example", ""),
        ("/\\evil.example", ""),
        ("/a/../b", ""),
        ("/..", ""),
        ("https://evil.example", ""),
        ('/"><script>', ""),
    ],
)
def test_a_trusted_proxys_prefix_is_taken_if_it_is_one(header: str, prefix: str) -> None:
    assert Client(trust_proxies(respond, 2)).get("/", headers={"X-Forwarded-Prefix": header}).text == prefix


def test_outside_of_a_request_there_is_no_prefix() -> None:
    assert with_prefix("/problems") == "/problems"
    with Flask(__name__).test_request_context("/quizzes", base_url="http://localhost/quiz"):
        assert with_prefix("/problems") == "/quiz/problems"
