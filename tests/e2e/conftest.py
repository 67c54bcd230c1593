"""A real browser on a real service: Chromium, Gunicorn and MySQL."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from poolproof.integrations.flask_ext import run_in_transaction
from tests.support import PROJECT
from tests.support.accounts import OPERATORS_PASSWORD_HASH
from tests.support.application import app_on
from webapp.accounts import users
from webapp.accounts.roles import Role
from webapp.bank.commands import import_items
from webapp.lab.services.poolproof_service import PoolproofService, run_poolproof_service

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
"""Names of the program."""
TIMEOUT = 15_000
"""Milliseconds until a page must show something: a busy machine may stall for seconds."""
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = {"width": 390, "height": 844}
OPERATOR = "hopper"

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


def installed_chromium() -> str | None:
    """The path of the installed Chromium, if there is one."""
    return next((path for name in CHROMIUM if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    # Only runs that open a page need a browser: it is installed here, where that is allowed.
    subprocess.run([sys.executable, PROJECT / ".ci" / "browser.py"], check=True)
    program = installed_chromium()
    if program is None:
        pytest.skip("there is no Chromium; install it: sudo apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        expect.set_options(timeout=TIMEOUT)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def service(
    prepared_schema: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory, server_flavour: str
) -> Iterator[PoolproofService]:
    folder = tmp_path_factory.mktemp("service")
    items = folder / "pools-and-queues"
    items.write_text(SOME_ITEMS)
    url = prepared_schema(server_flavour, "poolproof_journeys")
    # In this process, which has imported everything already.
    with app_on(url, folder, with_routes=False) as app, app.app_context():
        imported = app.test_cli_runner().invoke(import_items, ["--format", "opentriviaqa", str(items)])
        assert imported.exit_code == 0, imported.output
        run_in_transaction(lambda connection: users.add(connection, OPERATOR, OPERATORS_PASSWORD_HASH, Role.OPERATOR))
    with run_poolproof_service(url, folder, POOLPROOF_WORKERS="2") as service:
        yield service


@pytest.fixture
def operator(service: PoolproofService) -> str:
    """The name of an operator, who has the password of the fleets' operators."""
    return OPERATOR


class Visitor:
    """Opens pages and records the errors that the browser reports."""

    def __init__(self, browser: Browser, address: str) -> None:
        self._browser = browser
        self._address = address
        self.complaints: list[str] = []

    def page(
        self,
        *,
        javascript: bool = True,
        dark: bool = False,
        width: int = PHONE["width"],
        clock: bool = False,
        time_zone: str | None = None,
    ) -> Page:
        """Open a page in a browser of its own; with a clock, its time can be fast-forwarded."""
        context = self._browser.new_context(
            base_url=self._address,
            java_script_enabled=javascript,
            viewport={"width": width, "height": PHONE["height"]},
            color_scheme="dark" if dark else "light",
            timezone_id=time_zone,
        )
        if clock:
            context.clock.install()
        return self._observe(context.new_page())

    def again(self, closed: Page) -> Page:
        """Open the address of a closed page again, in the same browser."""
        page = self._observe(closed.context.new_page())
        page.goto(closed.url)
        return page

    def _observe(self, page: Page) -> Page:
        page.set_default_timeout(TIMEOUT)
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    def close(self) -> None:
        for context in self._browser.contexts:
            context.close()


def sign_in_as(page: Page, name: str, password: str, address: str) -> None:
    """Go to a page that requires signing in, and sign in; the second time with the cookies of the first."""
    page.goto(address)
    user = (urlsplit(page.url).netloc, name)
    if user in _cookies:
        page.context.add_cookies(_cookies[user])
        page.goto(address)
        return
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page).not_to_have_url(re.compile("/sign-in"))
    _cookies[user] = page.context.cookies()


_cookies: dict[tuple[str, str], Any] = {}


def add_items(page: Page, *words: str) -> None:
    """Put the first item that is found by each of these words into the quiz whose studio page is open."""
    for word in words:
        page.get_by_label("Words").fill(word)
        page.get_by_role("button", name="Search").click()
        page.get_by_role("region", name="From the bank").get_by_role("checkbox").first.check()
        page.get_by_role("button", name="Add the ticked ones").click()


def let_time_pass(page: Page, condition: Callable[[], bool]) -> None:
    """Fast-forward the clock of the page until a condition holds."""
    for _ in range(600):
        if condition():
            return
        page.clock.fast_forward(1000)
        page.wait_for_timeout(100)
    raise AssertionError("the condition was never met")


@pytest.fixture
def visitor(browser: Browser, service: PoolproofService) -> Iterator[Visitor]:
    visitor = Visitor(browser, service.address)
    yield visitor
    visitor.close()
    assert visitor.complaints == []
