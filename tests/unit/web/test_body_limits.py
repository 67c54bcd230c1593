"""What may be sent, by whom and where, is decided before a byte of it is read."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from typing import NoReturn

import pytest
from flask import Flask
from flask.testing import FlaskClient

from webapp.web.body_limits import MAX_STRANGERS_BODY, MAX_USERS_BODY
from webapp.web.uploads import FORM_OVERHEAD_BYTES, MAX_UPLOAD_CONFIG_KEY

MIB = 1024 * 1024
Headers = dict[str, str]


class UnreadableBody(io.RawIOBase):
    """A body that must not be read."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> NoReturn:
        raise AssertionError("the body was read")


class EndlessBody(io.RawIOBase):
    """A body without a length and without an end."""

    sent = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        buffer[:] = b" " * len(buffer)
        self.sent += len(buffer)
        return len(buffer)


@pytest.fixture
def announce(client: FlaskClient) -> Callable[..., int]:
    """Send the head of a request with a body of this length, and return the status of the answer."""

    def send(address: str, length: int, headers: Headers | None = None, method: str = "POST") -> int:
        body = {"wsgi.input": UnreadableBody(), "CONTENT_LENGTH": str(length)}
        kind = "application/json" if address.startswith("/api/") else "application/x-www-form-urlencoded"
        return client.open(
            address, method=method, headers=headers, content_type=kind, environ_overrides=body
        ).status_code  # fmt: skip

    return send


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("POST", "/sign-in"),
        ("POST", "/sign-out"),
        ("POST", "/quizzes/any/start"),
        ("POST", "/attempts/any"),
        ("POST", "/api/v1/tokens"),
        ("POST", "/api/v1/quizzes/1/attempts"),
        ("PUT", "/api/v1/attempts/any/answers/1"),
    ],
)
def test_of_a_strangers_large_form_nothing_is_read(announce: Callable[..., int], method: str, address: str) -> None:
    assert announce(address, 30 * MIB, method=method) == 413
    assert announce(address, MAX_STRANGERS_BODY + 1, method=method) == 413


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/studio/import", 302),
        ("/studio/quizzes/new", 302),
        ("/console/actions/drain", 302),
        ("/api/v1/items", 401),
        ("/api/v1/items/import?format=gift", 401),
        ("/nowhere", 404),
        ("/api/v1/nowhere", 404),
        ("/healthz", 405),
    ],
)
def test_what_a_stranger_may_not_send_is_not_read_whatever_its_size(
    app: Flask, announce: Callable[..., int], address: str, status: int
) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    try:
        assert [announce(address, length) for length in (10, 30 * MIB)] == [status, status]
    finally:
        app.config["WTF_CSRF_ENABLED"] = False


def test_a_user_sends_as_much_as_the_view_needs(announce: Callable[..., int], author: Headers, app: Flask) -> None:
    assert announce("/api/v1/items", MAX_USERS_BODY + 1, author) == 413
    assert announce("/api/v1/tokens", MAX_STRANGERS_BODY + 1, author) == 413
    max_upload = app.config[MAX_UPLOAD_CONFIG_KEY] + FORM_OVERHEAD_BYTES
    assert announce("/api/v1/items/import?format=gift", max_upload + 1, author) == 413


def test_a_file_that_is_too_large_is_refused_with_the_limit(client: FlaskClient, author: Headers) -> None:
    body = {"wsgi.input": UnreadableBody(), "CONTENT_LENGTH": str(33 * MIB)}
    refused = client.post("/api/v1/items/import?format=gift", headers=author, environ_overrides=body)
    assert refused.status_code == 413
    assert "may have 32 MiB" in refused.text


def test_a_body_without_a_length_is_read_up_to_the_limit(client: FlaskClient) -> None:
    body = EndlessBody()
    environ = {"wsgi.input": body, "wsgi.input_terminated": True}
    headers = {"Transfer-Encoding": "chunked"}
    refused = client.post("/api/v1/tokens", headers=headers, content_type="application/json", environ_overrides=environ)
    assert refused.status_code == 413
    assert body.sent <= 2 * MAX_STRANGERS_BODY


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip", "GZIP", "x-unknown"])
@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("POST", "/api/v1/tokens"),
        ("POST", "/api/v1/items"),
        ("POST", "/api/v1/items/import?format=gift"),
        ("POST", "/api/v1/quizzes/1/attempts"),
        ("PUT", "/api/v1/attempts/any/answers/1"),
        ("POST", "/api/v1/attempts/any/finish"),
        ("POST", "/sign-in"),
        ("POST", "/quizzes/any/start"),
    ],
)
def test_a_coded_body_is_refused_with_what_is_taken(
    client: FlaskClient, author: Headers, method: str, address: str, coding: str
) -> None:
    refused = client.open(
        address, method=method, data=gzip.compress(b"{}"), headers=author | {"Content-Encoding": coding},
        content_type="application/json",
    )  # fmt: skip
    assert (refused.status_code, refused.headers["Accept-Encoding"]) == (415, "identity")
    assert "without Content-Encoding" in refused.text


def test_identity_is_no_coding(client: FlaskClient) -> None:
    answer = client.post("/api/v1/tokens", json={}, headers={"Content-Encoding": "identity"})
    assert answer.status_code == 422
