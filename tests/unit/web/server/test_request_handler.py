from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.glogging import Logger

from webapp.web.server.connection import ClientConnection
from webapp.web.server.deferred import DEFERRED_RESPONSE_KEY, DeferredResponse
from webapp.web.server.request_handler import RequestHandler


class Exchange:
    """A request in a handler, and what becomes of it."""

    def __init__(self) -> None:
        ours, self.client = socket.socketpair()
        ours.setblocking(False)
        self.config = Config()
        self.config.set("threads", 2)
        self.connection = ClientConnection(ours, ("127.0.0.1", 1), ("127.0.0.1", 2), self.config)
        self.released: list[bool] = []
        self.reported: list[BaseException] = []
        self.log = Logger(self.config)
        self.handler = RequestHandler(self.config, self.log, self.release, self.report)

    def release(self, connection: ClientConnection, *, is_reusable: bool) -> None:
        self.released.append(is_reusable)

    def report(self, request: Any, output: Any, address: Any, error: BaseException) -> None:
        self.reported.append(error)
        output.sendall(b"an error")

    def handle(self, application: Callable[..., Any], more: bytes = b"", method: bytes = b"GET") -> bytes:
        self.connection.reader.feed(method + b" /a HTTP/1.1\r\nHost: x\r\n" + more + b"\r\n")
        self.connection.reader.advance()
        self.handler.application = application
        self.handler.handle(self.connection)
        return self.received()

    def received(self) -> bytes:
        self.connection.output.try_flush()
        self.client.setblocking(False)
        try:
            return self.client.recv(100_000)
        except BlockingIOError:
            return b""


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    exchange = Exchange()
    yield exchange
    exchange.handler.shutdown()
    exchange.client.close()
    exchange.connection.sock.close()


def hello(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]


def test_a_response_is_sent_and_the_connection_handed_back(exchange: Exchange) -> None:
    assert exchange.handle(hello).endswith(b"Connection: keep-alive\r\nContent-Length: 5\r\n\r\nhello")
    assert exchange.released == [True]


def test_a_worker_that_stops_says_that_each_response_is_the_last(exchange: Exchange) -> None:
    exchange.handler.closes_connections = True
    assert b"Connection: close" in exchange.handle(hello)
    assert exchange.released == [False]


@pytest.mark.parametrize("error", [ValueError("wrong"), SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_whatever_is_raised_is_answered_and_the_connection_ends(exchange: Exchange, error: BaseException) -> None:
    def fail(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", "5")])
        raise error

    assert exchange.handle(fail) == b"an error"
    assert (exchange.released, exchange.reported) == ([False], [error])


def test_a_response_that_breaks_off_in_the_midst_is_ended_and_logged(
    exchange: Exchange, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("gunicorn.error"), "propagate", True)

    def break_off(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        yield b"half"
        raise ValueError("the other half")

    received = exchange.handle(break_off)
    assert received.endswith(b"4\r\nhalf\r\n")
    assert (exchange.released, exchange.reported) == ([False], [])
    assert "the other half" in caplog.text


def test_a_body_is_closed_whatever_happens(exchange: Exchange) -> None:
    closed = []

    class Body(list[Any]):
        def close(self) -> None:
            closed.append(True)

    def wrong(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return Body(["text"])

    exchange.handle(wrong)
    assert closed == [True]


def test_a_deferred_response_is_sent_by_another_thread_and_then_the_connection_is_handed_back(
    exchange: Exchange,
) -> None:
    kept: list[Any] = []

    def defer(environ: Any, start_response: Any) -> Any:
        kept.append(environ[DEFERRED_RESPONSE_KEY])
        return kept[0]

    assert exchange.handle(defer) == b""
    assert exchange.released == []
    later = threading.Thread(target=kept[0].complete_raw, args=("200 OK", b"X-Request-ID: 1\r\n", b"{}"))
    later.start()
    later.join()
    lines = exchange.received().split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 200 OK"
    assert lines[3:] == [b"Connection: keep-alive", b"X-Request-ID: 1", b"", b"{}"]
    assert exchange.released == [True]


def test_a_deferred_response_stays_deferred_until_it_is_sent(exchange: Exchange) -> None:
    kept: list[Any] = []

    def defer(environ: Any, start_response: Any) -> Any:
        kept.append(environ[DEFERRED_RESPONSE_KEY])
        return kept[0]

    exchange.handle(defer, b"Connection: close\r\n")
    kept[0].complete(defer)
    assert exchange.released == []
    kept[0].complete(hello)
    assert b"Connection: close" in exchange.received()
    assert exchange.released == [False]


def test_what_takes_long_is_done_by_a_request_thread(exchange: Exchange) -> None:
    names: list[str] = []
    done = threading.Event()

    def name(environ: Any, start_response: Any) -> Iterable[bytes]:
        names.append(threading.current_thread().name)
        done.set()
        return hello(environ, start_response)

    def defer(environ: Any, start_response: Any) -> Any:
        deferred = environ[DEFERRED_RESPONSE_KEY]
        deferred.complete_in_thread(name)
        return deferred

    exchange.client.settimeout(10)
    exchange.connection.output.try_flush = lambda: True  # type: ignore[method-assign]
    exchange.handle(defer)
    assert done.wait(10)
    assert names == ["request-0"]


def test_the_console_has_a_thread_of_its_own(exchange: Exchange) -> None:
    names: list[str] = []
    done = threading.Event()
    exchange.handler.console_port = "2"

    def name() -> None:
        names.append(threading.current_thread().name)
        done.set()

    exchange.handler.submit(exchange.connection, name)
    assert done.wait(10)
    assert names == ["console-0"]


@pytest.mark.parametrize("is_raw", [False, True])
def test_gunicorns_access_log_has_every_response(exchange: Exchange, tmp_path: Any, *, is_raw: bool) -> None:
    exchange.config.set("accesslog", str(tmp_path / "access"))
    exchange.log.setup(exchange.config)

    def respond(environ: Any, start_response: Any) -> Any:
        if not is_raw:
            return hello(environ, start_response)
        environ[DEFERRED_RESPONSE_KEY].complete_raw("200 OK", b"", b"hello")
        return environ[DEFERRED_RESPONSE_KEY]

    exchange.handle(respond)
    assert '"GET /a HTTP/1.1" 200 5' in (tmp_path / "access").read_text()
    for handler in list(logging.getLogger("gunicorn.access").handlers):
        handler.close()
        logging.getLogger("gunicorn.access").removeHandler(handler)


def test_a_client_that_is_gone_ends_the_connection_only(exchange: Exchange) -> None:
    def generate(environ: Any, start_response: Any) -> Iterable[bytes]:
        yield from hello(environ, start_response)

    exchange.client.close()
    exchange.connection.reader.feed(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    exchange.connection.reader.advance()
    exchange.handler.application = generate
    exchange.handler.handle(exchange.connection)
    assert exchange.released == [False]


def test_a_plain_request_is_answered_without_an_environ(exchange: Exchange) -> None:
    def take(deferred: DeferredResponse) -> bool:
        deferred.complete_raw("200 OK", b"X-Body: %b\r\n" % deferred.read_body(), b"fast")
        assert deferred.response is None, "no environ was built"
        return True

    exchange.handler.fast_path = take
    received = exchange.handle(hello, b"Content-Length: 2\r\n\r\nab").split(b"\r\n")
    assert received[0] == b"HTTP/1.1 200 OK"
    assert received[2].startswith(b"Date: ")
    assert received[2].endswith(b" GMT")
    assert received[3:] == [b"Connection: keep-alive", b"X-Body: ab", b"", b"fast"]


def test_what_the_fast_path_leaves_reaches_the_application_whole(exchange: Exchange) -> None:
    def leave(deferred: DeferredResponse) -> bool:
        deferred.environ["tried"] = deferred.read_body()
        return False

    def echo(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [environ["tried"], environ["wsgi.input"].read()]

    exchange.handler.fast_path = leave
    assert exchange.handle(echo, b"Content-Length: 2\r\n\r\nab").endswith(b"2\r\nab\r\n2\r\nab\r\n0\r\n\r\n")


def test_a_fast_path_that_fails_is_answered_and_the_connection_ends(exchange: Exchange) -> None:
    def fail(deferred: DeferredResponse) -> bool:
        raise SystemExit(3)

    exchange.handler.fast_path = fail
    assert exchange.handle(hello) == b"an error"
    assert exchange.released == [False]
