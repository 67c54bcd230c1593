from __future__ import annotations

import io
from typing import Any

import pytest

from webapp.web.fast_path.routes import MAX_BODY_BYTES, FastRoute, plain_request


def environ(content_type: str, length: str) -> dict[str, Any]:
    body = io.BytesIO(b"{}more")
    return {
        "CONTENT_TYPE": content_type, "CONTENT_LENGTH": length, "wsgi.input": body, "wsgi.url_scheme": "http",
        "HTTP_IF_NONE_MATCH": "x",
    }  # fmt: skip


def test_a_small_body_is_read_and_can_be_read_again() -> None:
    received = environ("application/json", "2")
    request = plain_request(received)
    assert (request.json_body(), received["wsgi.input"].read()) == (b"{}", b"{}")
    assert request.fields["IF-NONE-MATCH"] == "x"


@pytest.mark.parametrize(
    ("content_type", "length"),
    [
        ("text/plain", "2"),
        ("application/json; charset=utf-8", "2"),
        ("application/json", ""),
        ("application/json", "-1"),
        ("application/json", "²"),
        ("application/json", str(MAX_BODY_BYTES + 1)),
    ],
)
def test_any_other_body_is_left_alone(content_type: str, length: str) -> None:
    received = environ(content_type, length)
    assert plain_request(received).json_body() == b""
    assert received["wsgi.input"].tell() == 0


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
