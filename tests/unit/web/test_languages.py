"""The language of a request."""

from __future__ import annotations

import pytest
from flask import Flask

from webapp.web.languages import COOKIE, select_language


@pytest.mark.parametrize(
    ("accepted", "cookie", "language"),
    [
        ("", "", "en"),
        ("ko-KR,ko;q=0.9,en;q=0.8", "", "ko"),
        ("de,en;q=0.5", "", "en"),
        ("fr", "", "en"),
        ("ko", "en", "en"),
        ("en", "ko", "ko"),
        ("ko", "<script>", "ko"),
    ],
)
def test_the_readers_choice_comes_before_the_browsers(accepted: str, cookie: str, language: str) -> None:
    headers = {"Accept-Language": accepted, "Cookie": f"{COOKIE}={cookie}" if cookie else ""}
    with Flask("test").test_request_context("/", headers=headers):
        assert select_language() == language
