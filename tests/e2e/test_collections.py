"""An author collects questions from a source: starts, watches, cancels, resumes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Visitor
from tests.e2e.test_playing import sign_in
from webapp.lab.services import fake_opentdb as opentdb
from webapp.lab.services.fake_opentdb import ContractOptions, FakeOpenTdb, make_questions
from webapp.lab.services.poolproof_service import PoolproofService, run_poolproof_service

pytestmark = pytest.mark.journey

BANK = make_questions(60, 3)
VISIBLE_TIMEOUT = 60_000
GATE_TIMEOUT = 60.0
BLOCKED_CALL = 9
"""Lists and tokens come first, then a category or two: by then some records were returned, but not all."""


class Gate:
    """Blocks calls of a source from one of them on, so that its collection is running for as long as a test wants."""

    def __init__(self) -> None:
        self._is_open = threading.Event()
        self._first_blocked_call = BLOCKED_CALL

    def __call__(self, number: int, path: str) -> None:
        if number >= self._first_blocked_call:
            self._is_open.wait(GATE_TIMEOUT)

    def open(self) -> None:
        self._is_open.set()

    def close(self) -> None:
        """Block every call from now on."""
        self._first_blocked_call = 0
        self._is_open.clear()


@pytest.fixture(scope="module")
def gate() -> Gate:
    return Gate()


@pytest.fixture(scope="module")
def source(gate: Gate) -> Iterator[FakeOpenTdb]:
    with FakeOpenTdb(BANK, ContractOptions(), gate) as server:
        yield server
        gate.open()


@pytest.fixture(scope="module")
def service(
    source: FakeOpenTdb,
    prepared_schema: Callable[[str, str], str],
    tmp_path_factory: pytest.TempPathFactory,
    server_flavour: str,
) -> Iterator[PoolproofService]:
    url = prepared_schema(server_flavour, "poolproof_collecting")
    collector = {"POOLPROOF_COLLECTOR_PROCESSES": "1", "POOLPROOF_OPENTDB_URL": source.address}
    folder = tmp_path_factory.mktemp("collecting")
    with run_poolproof_service(
        url, folder, POOLPROOF_WORKERS="1", POOLPROOF_OPENTDB_MIN_INTERVAL="0", **collector
    ) as service:
        yield service


@pytest.mark.slow(reason="a collection at its pace, with a service of its own")
def test_a_collection_is_watched_cancelled_and_resumed(visitor: Visitor, service: PoolproofService, gate: Gate) -> None:
    page = visitor.page()
    sign_in(page, service)
    page.get_by_role("link", name="Collect").click()
    page.get_by_role("button", name="Collect from Open Trivia DB").click()
    expect(page.get_by_role("heading", name="Collection run")).to_be_visible()
    returned = page.get_by_role("progressbar", name="Records returned")
    expect(returned).to_be_visible(timeout=VISIBLE_TIMEOUT)
    expect(returned).not_to_have_attribute("value", "0", timeout=VISIBLE_TIMEOUT)
    page.get_by_role("button", name="Cancel").click()
    gate.open()
    expect(page.get_by_text("cancelled", exact=True).first).to_be_visible(timeout=VISIBLE_TIMEOUT)
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("finished", exact=True).first).to_be_visible(timeout=VISIBLE_TIMEOUT)
    expect(page.locator("#count-new")).to_have_text(str(len(opentdb.dedupe_keys(BANK))))
    page.get_by_text("Partitions").click()
    expect(page.get_by_text("3 of 3 done")).to_be_visible()


def test_a_second_collection_of_the_same_source_is_refused_with_the_first_ones_number(
    visitor: Visitor, service: PoolproofService, gate: Gate
) -> None:
    # Otherwise the first one could be over before it is cancelled.
    gate.close()
    page = visitor.page(javascript=False)
    sign_in(page, service)
    page.goto("/studio/collections")
    page.get_by_role("button", name="Collect from Open Trivia DB").click()
    page.goto("/studio/collections")
    page.get_by_role("button", name="Collect from Open Trivia DB").click()
    expect(page.get_by_role("alert")).to_contain_text("is under way")
    page.get_by_role("link", name="Run").first.click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("cancelled", exact=True).first).to_be_visible()
    gate.open()
