from __future__ import annotations

from typing import Any

import pytest

from webapp.web.server.deferred import DEFERRED_RESPONSE_KEY, DeferredResponse


class Handler:
    """Records what a deferred response asks of the request handler."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def respond(self, *arguments: object) -> None:
        self.calls.append(("respond", *arguments))

    def respond_raw(self, *arguments: object) -> None:
        self.calls.append(("respond_raw", *arguments))

    def submit(self, *arguments: object) -> None:
        self.calls.append(("submit", *arguments))


@pytest.fixture
def handler() -> Handler:
    return Handler()


class ResponseReader:
    request = "the request"

    def peek_body(self) -> bytes:
        return b"the body"


class Connection:
    reader = ResponseReader()


@pytest.fixture
def deferred(handler: Handler) -> DeferredResponse:
    return DeferredResponse(handler, Connection(), None)  # type: ignore[arg-type]


def test_the_application_finds_it_in_its_environ(deferred: DeferredResponse) -> None:
    assert deferred.environ == {DEFERRED_RESPONSE_KEY: deferred}


def test_it_knows_the_request_and_its_body(deferred: DeferredResponse) -> None:
    assert (deferred.request, deferred.read_body()) == ("the request", b"the body")


def test_it_is_sent_by_the_handler(deferred: DeferredResponse, handler: Handler) -> None:
    deferred.complete("the application")  # type: ignore[arg-type]
    deferred.complete_raw("200 OK", b"A: b\r\n", b"body")
    assert handler.calls == [
        ("respond", deferred, "the application"),
        ("respond_raw", deferred, "200 OK", b"A: b\r\n", b"body"),
    ]


def test_what_takes_long_is_a_task_of_a_request_thread(deferred: DeferredResponse, handler: Handler) -> None:
    deferred.complete_in_thread("the application")  # type: ignore[arg-type]
    assert handler.calls == [("submit", deferred.connection, deferred.complete, "the application")]


def test_it_is_never_read_as_a_body(deferred: DeferredResponse) -> None:
    with pytest.raises(TypeError):
        list(deferred)
