from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from werkzeug.test import Client, EnvironBuilder

from tests.support.clock import SettableClock
from tests.support.waiting import wait_until
from webapp.web import delayed_refusals
from webapp.web.delayed_refusals import DELAY, DelayedRefusals
from webapp.web.server.deferred import DEFERRED_RESPONSE_KEY


class Deferred:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes, bytes]] = []

    def complete_raw(self, status: str, headers: bytes, body: bytes) -> None:
        self.sent.append((status, headers, body))


def respond(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response(environ["HTTP_STATUS"], [("Retry-After", "1"), ("Content-Length", "2")])
    return [b"n", b"o"]


@pytest.fixture
def middleware() -> Iterator[DelayedRefusals]:
    middleware = DelayedRefusals(respond, ["/sign-in"])
    yield middleware
    assert middleware._thread.stop()


def call(
    middleware: DelayedRefusals, deferred: Deferred, status: str, path: str = "/sign-in", method: str = "POST"
) -> Any:
    overrides = {DEFERRED_RESPONSE_KEY: deferred, "HTTP_STATUS": status}
    environ = EnvironBuilder(path, method=method, environ_overrides=overrides).get_environ()
    return middleware(environ, lambda *_: lambda _: None)


def test_a_refusal_is_sent_after_the_delay_and_by_no_request_thread(
    middleware: DelayedRefusals, clock: SettableClock
) -> None:
    clock.stop()
    deferred = Deferred()
    assert call(middleware, deferred, "429 TOO MANY REQUESTS") is deferred
    assert middleware._send_due() == pytest.approx(DELAY)
    assert deferred.sent == []
    clock.advance(DELAY)
    middleware._send_due()
    assert deferred.sent == [("429 TOO MANY REQUESTS", b"Retry-After: 1\r\nContent-Length: 2\r\n", b"no")]


def test_its_thread_sends_it(middleware: DelayedRefusals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delayed_refusals, "DELAY", 0.01)
    for _ in range(2):
        deferred = Deferred()
        call(middleware, deferred, "503 SERVICE UNAVAILABLE")
        wait_until(partial(bool, deferred.sent))


@pytest.mark.parametrize(
    ("status", "path", "method"),
    [
        ("302 FOUND", "/sign-in", "POST"),
        ("401 UNAUTHORIZED", "/sign-in", "POST"),
        ("503 SERVICE UNAVAILABLE", "/quizzes/a", "POST"),
        ("503 SERVICE UNAVAILABLE", "/sign-in", "GET"),
    ],
)
def test_everything_else_is_sent_at_once(middleware: DelayedRefusals, status: str, path: str, method: str) -> None:
    assert b"".join(call(middleware, Deferred(), status, path, method)) == b"no"


def test_the_number_of_refusals_that_wait_is_bounded(
    middleware: DelayedRefusals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delayed_refusals, "MAX_DELAYED", 2)
    deferred = Deferred()
    answers = [call(middleware, deferred, "429 TOO MANY REQUESTS") for _ in range(3)]
    assert [answer is deferred for answer in answers] == [True, True, False]


def test_a_server_that_cannot_defer_sends_it_at_once(middleware: DelayedRefusals) -> None:
    assert Client(middleware).post("/sign-in", headers={"Status": "429 TOO MANY REQUESTS"}).status_code == 429
