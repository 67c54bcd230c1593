"""One browser's connections, as a recording proxy in front of a small service sees them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from tests.support.event_loop import run_coroutine
from webapp.lab.loadgen.browser import Browser
from webapp.lab.loadgen.browser_model import BrowserTraits, Ending, SlowLine
from webapp.lab.services.processes import HOST
from webapp.lab.services.recording_proxy import RecordedConnection, record

PAGE = b'<link href="/files/a.css"><script src="/files/a.js"></script><img src="/files/a.svg">'
TRAITS = BrowserTraits(0.05, has_cached_files=False, has_spare_connection=False, ending=Ending.PLAYED, line=None)
Play = Callable[[Browser], Awaitable[object]]


def played(play: Play, traits: BrowserTraits = TRAITS, **service: bool) -> list[RecordedConnection]:
    """Let a browser play; return its connections. The browser of other tests has an event loop in this thread."""

    async def run() -> list[RecordedConnection]:
        server = await asyncio.start_server(lambda reader, writer: serve(reader, writer, **service), HOST, 0)
        with record(server.sockets[0].getsockname()[1]) as proxy:
            with closing(Browser(HOST, proxy.port, traits)) as browser:
                await play(browser)
                # A connection that is used by nothing is recorded as well, when the proxy comes to it.
                await asyncio.sleep(0.1)
            recorded = proxy.connections()
        server.close()
        return recorded

    return run_coroutine(run())


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, closes: bool = False) -> None:
    """Answer each request with the page; with `closes`, hang up after the first of a connection."""
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            await asyncio.sleep(0.02)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(PAGE), PAGE))
            if closes:
                break
    except (asyncio.IncompleteReadError, asyncio.CancelledError):
        # The client has hung up, or the test is over.
        pass
    finally:
        writer.close()


async def open_page(browser: Browser) -> None:
    page = await browser.request("GET", "/quizzes/push")
    loaded = await browser.load_files(page)
    assert {file.result for file in loaded} <= {"200"}


def paths(connections: list[RecordedConnection]) -> list[list[str]]:
    return [[request.path for request in connection.requests] for connection in connections]


def test_the_second_connection_idles_until_the_page_has_come_and_files_are_loaded_side_by_side() -> None:
    recorded = played(open_page)
    assert sorted(paths(recorded)) == sorted([["/quizzes/push", "/files/a.css"], ["/files/a.js"], ["/files/a.svg"]])
    second = next(connection for connection in recorded if paths([connection]) == [["/files/a.js"]])
    assert second.idle_before_use is not None
    assert second.idle_before_use > TRAITS.parse_delay


def test_a_cache_full_of_files_and_a_spare_connection_leave_two_that_never_say_a_word() -> None:
    recorded = played(open_page, replace(TRAITS, has_cached_files=True, has_spare_connection=True))
    assert sorted(paths(recorded)) == [[], [], ["/quizzes/push"]]


def test_a_kept_connection_that_the_server_has_closed_is_opened_again_without_an_error() -> None:
    async def play(browser: Browser) -> None:
        for _ in range(3):
            assert (await browser.request("GET", "/quizzes/push")).status == 200

    recorded = played(play, closes=True)
    # One on which a request was on its way while the server closed it has seen that request in vain.
    assert len([requests for requests in paths(recorded) if requests]) == 3


def test_who_vanishes_has_sent_the_head_and_not_the_whole_body() -> None:
    async def play(browser: Browser) -> None:
        await browser.vanish("PUT", "/answers/1", {"choices": [1]})

    (connection,) = played(play)
    assert [(request.method, request.path) for request in connection.requests] == [("PUT", "/answers/1")]
    assert connection.body_bytes_left > 0


def test_a_slow_line_takes_its_time_in_both_directions() -> None:
    line = SlowLine(bytes_per_second=4000, latency=0.05)
    with stopwatch() as seconds:
        played(open_page, replace(TRAITS, has_cached_files=True, line=line))
    head = 600 / line.bytes_per_second
    assert seconds() > line.latency + head


def test_a_server_that_is_not_there_is_an_error_of_the_system() -> None:
    async def run() -> None:
        with closing(Browser(HOST, 1, TRAITS)) as browser, pytest.raises(OSError, match=r"refused|failed"):
            await browser.request("GET", "/")

    run_coroutine(run())


@contextmanager
def stopwatch() -> Iterator[Callable[[], float]]:
    started_at = time.monotonic()
    yield lambda: time.monotonic() - started_at
