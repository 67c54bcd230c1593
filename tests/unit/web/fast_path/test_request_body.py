from __future__ import annotations

import io

import pytest

from webapp.web.fast_path.request_body import MAX_BODY_BYTES, read_json_body


def test_a_small_body_is_read_and_can_be_read_again() -> None:
    environ = {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": "2", "wsgi.input": io.BytesIO(b"{}more")}
    assert read_json_body(environ) == b"{}"
    assert environ["wsgi.input"].read() == b"{}"  # type: ignore[attr-defined]


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
    body = io.BytesIO(b"{}")
    environ = {"CONTENT_TYPE": content_type, "CONTENT_LENGTH": length, "wsgi.input": body}
    assert read_json_body(environ) == b""
    assert body.tell() == 0
