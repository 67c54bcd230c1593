from __future__ import annotations

import io
from typing import Any

import pytest

from webapp.web.fast_path.routes import FastRoute, plain_request


def test_a_body_is_read_and_can_be_read_again() -> None:
    received: dict[str, Any] = {
        "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": "2", "wsgi.input": io.BytesIO(b"{}more"),
        "wsgi.url_scheme": "http", "HTTP_IF_NONE_MATCH": "x",
    }  # fmt: skip
    request = plain_request(received)
    assert request.fields == {"CONTENT-TYPE": "application/json", "CONTENT-LENGTH": "2", "IF-NONE-MATCH": "x"}
    assert (request.read_body(), received["wsgi.input"].read()) == (b"{}", b"{}")


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("/api/v1/attempts/abc/answers/7", ["abc", "7"]),
        ("/api/v1/attempts//answers/7", ["", "7"]),
        ("/api/v1/attempts/abc/answers/", None),
        ("/api/v1/attempts/abc/answers/x", None),
        ("/api/v1/attempts/abc/answers/\u0667", None),
        (f"/api/v1/attempts/abc/answers/{'7' * 19}", None),
        ("/api/v1/attempts/abc/finish/7", None),
        ("/api/v2/attempts/abc/answers/7", None),
    ],
)
def test_a_route_matches_its_fixed_segments_and_returns_the_others(path: str, parameters: list[str] | None) -> None:
    route = FastRoute("PUT", "/api/v1/attempts/<token>/answers/<id:item_id>", lambda: None)
    match = route.match(path)
    assert (match and list(match.groups())) == parameters
