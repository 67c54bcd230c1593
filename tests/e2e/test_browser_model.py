"""The model of browsers that `poolproof lab push --browsers` uses, beside a real Chromium behind the same proxy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium

from tests.e2e.conftest import ARGUMENTS, installed_chromium
from tests.support.event_loop import run_coroutine
from webapp.lab.loadgen.browser import Browser
from webapp.lab.loadgen.browser_model import BrowserModel, BrowserTraits, Ending
from webapp.lab.push.quiz_discovery import find_open_quiz
from webapp.lab.services.poolproof_service import PoolproofService
from webapp.lab.services.processes import HOST
from webapp.lab.services.recording_proxy import RecordedConnection, RecordingProxy, record

pytestmark = pytest.mark.journey

BACKGROUND_NETWORKING = "--disable-background-networking"
"""Playwright's own argument, which also forbids speculative connections; people's browsers do not have it."""
MORE_CONNECTIONS, MORE_REQUESTS = 1, 1
"""Bounds: by so many the numbers of connections, and of requests on one of them, may differ."""
MAX_IDLE_AFTER_PAGE = 2.0
"""Bound: seconds from the page's reply to the first use of the second connection; a busy machine is slow to parse."""

REPLY_DELAY = 0.5
"""Seconds that a reply is under way: a browser on a busy machine opens its second connection within them."""


@pytest.fixture
def proxy(service: PoolproofService) -> Iterator[RecordingProxy]:
    with record(service.port, REPLY_DELAY) as proxy:
        yield proxy


@pytest.fixture
def page(service: PoolproofService) -> str:
    slug, _, _ = find_open_quiz(HOST, service.port, None)
    return f"/quizzes/{slug}"


def test_the_model_opens_a_quiz_on_the_connections_on_which_chromium_does(
    browser: Chromium, proxy: RecordingProxy, page: str, tmp_path: Path
) -> None:
    opened_by_chromium = [with_chromium(browser, proxy, page, tmp_path / "profile")]
    opened_by_model = [with_model(proxy, page, parse_delay) for parse_delay in BrowserModel.parse_delay]
    for opened in (*opened_by_chromium, *opened_by_model):
        first, second, *_ = opened
        reply = first.first_reply_at
        assert reply is not None
        # The second connection is a guess: it is opened before there is a reply, and used after the page has come.
        assert second.opened_at < reply
        assert second.first_byte_at is not None
        assert reply < second.first_byte_at < reply + MAX_IDLE_AFTER_PAGE
    chromium = opened_by_chromium[0]
    for opened in opened_by_model:
        assert abs(len(opened) - len(chromium)) <= MORE_CONNECTIONS
        assert paths(opened) == paths(chromium)
        for ours, theirs in zip(opened, chromium, strict=False):
            assert abs(len(ours.requests) - len(theirs.requests)) <= MORE_REQUESTS


def test_the_second_connection_of_a_returning_visitor_never_says_a_word(
    browser: Chromium, proxy: RecordingProxy, page: str, tmp_path: Path
) -> None:
    with_chromium(browser, proxy, page, tmp_path / "profile")
    chromium = with_chromium(browser, proxy, page, tmp_path / "profile", returning=True)
    model = with_model(proxy, page, 0.02, returning=True)
    for opened in (chromium, model):
        assert paths(opened) == [page]
        assert [connection.first_byte_at is None for connection in opened] == [False, True]


def with_chromium(
    browser: Chromium, proxy: RecordingProxy, page: str, profile: Path, *, returning: bool = False
) -> list[RecordedConnection]:
    """Open a page in a Chromium that may guess, and with returning again when the browser has been restarted."""
    context = browser.browser_type.launch_persistent_context(
        profile,
        executable_path=installed_chromium(),
        ignore_default_args=[BACKGROUND_NETWORKING],
        args=[argument for argument in ARGUMENTS if argument != BACKGROUND_NETWORKING],
    )
    try:
        proxy.clear()
        context.pages[0].goto(f"http://{HOST}:{proxy.port}{page}", wait_until="networkidle")
        return proxy.connections()
    finally:
        context.close()


def with_model(
    proxy: RecordingProxy, page: str, parse_delay: float, *, returning: bool = False
) -> list[RecordedConnection]:
    """Let the model open the page; in another thread, because the browser of the tests has an event loop in this."""
    traits = BrowserTraits(
        parse_delay, has_cached_files=returning, has_spare_connection=False, ending=Ending.PLAYED, line=None
    )

    async def open_page() -> list[RecordedConnection]:
        with closing(Browser(HOST, proxy.port, traits)) as browser:
            await browser.load_files(await browser.request("GET", page))
            return proxy.connections()

    proxy.clear()
    return run_coroutine(open_page())


def paths(opened: list[RecordedConnection]) -> list[str]:
    return sorted(request.path for connection in opened for request in connection.requests)
