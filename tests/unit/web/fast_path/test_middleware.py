"""The middleware alone, with routes and an application of the tests' own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from werkzeug.test import Client, EnvironBuilder

from poolproof import deadlines
from poolproof.core.stats import RequestStatistics
from poolproof.integrations.request_scope import RequestScopes
from poolproof.leaks.checkouts import current_request
from webapp.web.fast_path.middleware import FastPath
from webapp.web.fast_path.routes import FastRoute, PendingResponse, RawResponse
from webapp.web.server.deferred import DEFERRED_RESPONSE_KEY

RESPONSE = RawResponse("200 OK", (("Content-Type", "text/plain"),), b"fast")


def flask(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    error = environ.get("poolproof.fast_path_error")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr(error).encode() if error is not None else b"slow"]


def middleware(handler: Callable[..., RawResponse | PendingResponse | None]) -> FastPath:
    routes, scopes = [FastRoute("GET", "/things/<name>", handler)], RequestScopes(20.0, lambda: False)
    return FastPath(flask, routes, RequestStatistics(), scopes)


def completed(error: Exception | None = None) -> Future[Any]:
    future: Future[Any] = Future()
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
    return future


def fail(*_: object) -> RawResponse:
    raise ValueError("no")


@pytest.mark.parametrize(
    ("handler", "path", "body"),
    [
        (lambda environ, name: RESPONSE, "/things/a", "fast"),
        (lambda environ, name: None, "/things/a", "slow"),
        (lambda environ, name: RESPONSE, "/others/a", "slow"),
        (lambda environ, name: RESPONSE, "/things/a/b", "slow"),
        (fail, "/things/a", "ValueError('no')"),
        (lambda environ, name: PendingResponse(completed(), fail), "/things/a", "ValueError('no')"),
        (lambda environ, name: PendingResponse(completed(ValueError("no")), fail), "/things/a", "ValueError('no')"),
        (lambda environ, name: PendingResponse(completed(), lambda _: RESPONSE), "/things/a", "fast"),
    ],
)
def test_what_is_plain_and_succeeds_is_fast(handler: Callable[..., Any], path: str, body: str) -> None:
    assert Client(middleware(handler)).get(path).text == body


@pytest.mark.parametrize("name", ["If-Match", "Transfer-Encoding", "X-Request-Timeout"])
def test_an_unusual_header_goes_to_flask(name: str) -> None:
    app = middleware(lambda environ, name: RESPONSE)
    assert Client(app).get("/things/a", headers={name: "1"}).text == "slow"


class Received:
    """A request as our worker has parsed it."""

    method, query, scheme = "GET", "", "http"

    def __init__(self, path: str = "/things/a", **fields: str) -> None:
        self.path = path
        self.fields = {name.replace("_", "-"): value for name, value in fields.items()}


class Deferred:
    """Records how a response is completed."""

    def __init__(self, request: Received | None = None) -> None:
        self.request = request or Received()
        self.environ: dict[str, Any] = {}
        self.raw: list[tuple[str, bytes, bytes]] = []
        self.applications: list[Any] = []

    def read_body(self) -> bytes:
        return b""

    def complete_raw(self, status: str, headers: bytes, body: bytes) -> None:
        self.raw.append((status, headers, body))

    def complete_in_thread(self, application: Any) -> None:
        self.applications.append(application)


def call(app: FastPath, deferred: Deferred, **environ: Any) -> Any:
    base = EnvironBuilder("/things/a", environ_overrides={DEFERRED_RESPONSE_KEY: deferred, **environ})
    return app(base.get_environ(), lambda *_: lambda _: None)


@pytest.mark.parametrize(("in_thread", "error"), [(False, None), (True, None), (False, ValueError("no"))])
def test_a_pending_response_is_sent_by_the_thread_that_calls_back_unless_it_takes_long_or_failed(
    error: Exception | None, *, in_thread: bool
) -> None:
    future: Future[Any] = Future()
    pending = PendingResponse(future, lambda _: RESPONSE, in_thread=in_thread)
    deferred = Deferred()
    assert call(middleware(lambda environ, name: pending), deferred) is deferred
    assert (deferred.applications, deferred.raw) == ([], [])
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(None)
    if in_thread or error is not None:
        assert (len(deferred.applications), deferred.raw) == (1, [])
    else:
        assert [(status, body) for status, _, body in deferred.raw] == [("200 OK", b"fast")]


def test_a_request_of_our_worker_is_answered_without_an_environ() -> None:
    deferred = Deferred(Received(X_REQUEST_ID="0123456789abcdef"))
    assert middleware(lambda request, name: RESPONSE).take(deferred)
    assert deferred.raw == [
        ("200 OK", b"Content-Type: text/plain\r\nX-Request-ID: 0123456789abcdef\r\nContent-Length: 4\r\n", b"fast")
    ]


def test_one_that_depends_on_a_commit_is_answered_later() -> None:
    deferred, future = Deferred(), Future[Any]()
    assert middleware(lambda request, name: PendingResponse(future, lambda _: RESPONSE)).take(deferred)
    assert deferred.raw == []
    future.set_result(None)
    assert [body for _, _, body in deferred.raw] == [b"fast"]


@pytest.mark.parametrize(
    ("handler", "received", "body"),
    [
        (lambda request, name: None, Received(), b"slow"),
        (lambda request, name: RESPONSE, Received(IF_MATCH="1"), b"slow"),
        (lambda request, name: RESPONSE, Received("/others/a"), b"slow"),
        (fail, Received(), b"ValueError('no')"),
        (lambda request, name: RESPONSE, Received("/things/%61"), b"fast"),
    ],
)
def test_what_is_left_to_the_application_is_tried_once(
    handler: Callable[..., Any], received: Received, body: bytes
) -> None:
    """A path with encoded characters is tried where it is decoded: in the environ."""
    deferred, app = Deferred(received), middleware(handler)
    assert not app.take(deferred)
    environ = EnvironBuilder(received.path).get_environ() | deferred.environ
    assert list(app(environ, lambda *_: lambda _: None)) == [body]


def test_a_refusal_to_defer_goes_to_flask() -> None:
    assert call(middleware(fail), Deferred()) == [b"ValueError('no')"]


def test_what_failed_is_answered_by_flask_and_what_takes_long_in_a_thread_with_a_scope_of_its_own() -> None:
    names: list[str] = []

    def make_response(_: object) -> RawResponse:
        current = current_request.get()
        assert current is not None
        names.append(current.name)
        assert deadlines.remaining() is not None
        return RESPONSE

    for future, body in ((completed(), b"fast"), (completed(ValueError("no")), b"ValueError('no')")):
        deferred, pending = Deferred(), PendingResponse(future, make_response, in_thread=True)
        call(middleware(lambda environ, name, pending=pending: pending), deferred)
        environ = EnvironBuilder("/things/a").get_environ()
        assert list(deferred.applications[0](environ, lambda *_: lambda _: None)) == [body]
    assert [name.partition(" (request ")[0] for name in names] == ["GET /things/<name>"]


def test_a_handler_has_the_deadline_and_the_name_of_its_request_and_leaves_nothing_behind() -> None:
    seen: list[Any] = []

    def handler(environ: WSGIEnvironment, name: str) -> RawResponse:
        seen.extend([current_request.get(), deadlines.remaining()])
        return RESPONSE

    answer = Client(middleware(handler)).get("/things/a")
    assert seen[0].name == f"GET /things/<name> (request {answer.headers['X-Request-ID']})"
    assert 0 < seen[1] <= 20
    assert (current_request.get(), deadlines.remaining()) == (None, None)
