"""A real browser on a real service: Chromium, Gunicorn and MySQL."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from webapp.lab.services.poolproof_service import Service, serving

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
PATIENCE = 15_000
"""Milliseconds that a page has to show something: a busy machine stands still for seconds."""
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = {"width": 390, "height": 844}

SOME_ITEMS = """#Q Which of these is kept in a pool and lent by the second?
^ A connection
A A connection
B A goldfish
C A lifeguard
D A towel

#Q A browser can play
this quiz.
^ True
A True
B False

#Q What does a queue promise?
^ First come, first served
A Last come, first served
B First come, first served
C Nobody is served
D Everybody at once
"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium; install it: sudo apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        expect.set_options(timeout=PATIENCE)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def service(
    prepared_schema: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory, server_flavour: str
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    items = folder / "pools-and-queues"
    items.write_text(SOME_ITEMS)
    with serving(prepared_schema(server_flavour, "poolproof_journeys"), folder, POOLPROOF_WORKERS="2") as service:
        imported = service.command("import", "--format", "opentriviaqa", str(items))
        assert imported.returncode == 0, imported.stderr
        yield service


class Visitor:
    """Opens pages and keeps what the browser complained about."""

    def __init__(self, browser: Browser, address: str) -> None:
        self._browser = browser
        self._address = address
        self.complaints: list[str] = []

    def page(self, *, javascript: bool = True, dark: bool = False, width: int = PHONE["width"]) -> Page:
        context = self._browser.new_context(
            base_url=self._address,
            java_script_enabled=javascript,
            viewport={"width": width, "height": PHONE["height"]},
            color_scheme="dark" if dark else "light",
        )
        return self._listened_to(context.new_page())

    def again(self, closed: Page) -> Page:
        """Open the address of a closed page again, in the same browser."""
        page = self._listened_to(closed.context.new_page())
        page.goto(closed.url)
        return page

    def _listened_to(self, page: Page) -> Page:
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    def close(self) -> None:
        for context in self._browser.contexts:
            context.close()


@pytest.fixture
def visitor(browser: Browser, service: Service) -> Iterator[Visitor]:
    visitor = Visitor(browser, service.address)
    yield visitor
    visitor.close()
    assert visitor.complaints == []
