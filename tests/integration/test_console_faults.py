"""The console over a real fleet: it agrees with the server, says who holds what, and answers when nothing else does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import httpx2
import pymysql
import pytest

from tests.integration.fleet import Fleet, eventually, fleet
from tests.support.databases import Databases
from webapp.lab.loadgen.storm import storm
from webapp.lab.services.database_server import DatabaseServer

WORKERS, THREADS = 2, 4
HELD = 8.0
"""Seconds for which a view holds its connection, unless it is ended; what must not wait for it is done in half."""


@pytest.fixture(scope="module")
def running(server: DatabaseServer, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two workers whose account is their own, so that the server can count its connections."""
    databases.restore(server, "fleet", "prepared")
    server.execute("CREATE USER fleet@'%' IDENTIFIED BY 'a long password'")
    server.execute("GRANT ALL ON fleet.* TO fleet@'%'")
    server.execute("SET GLOBAL max_connections = 100")
    url = server.url("fleet", "fleet", "a%20long%20password")
    with fleet(url, tmp_path_factory.mktemp("fleet"), WORKERS, POOL_LEAK_THRESHOLD="0.5") as running:
        yield running


def connected(server: DatabaseServer) -> int:
    ((count,),) = server.execute("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'fleet'")
    return int(count)


def all_are_there(running: Fleet) -> bool:
    return len(running.workers()) == WORKERS


def test_the_sum_over_the_workers_is_the_servers_own_count(running: Fleet, server: DatabaseServer) -> None:
    with storm(running.address) as load:
        for _ in range(5):
            # They need not agree at once: a connection may be opened between the two looks.
            eventually(lambda: running.fetch_data()["budget"]["open"] == connected(server))
            load.wait_for_successes(20)
    assert load.counts()[200] > 100


def test_a_killed_worker_is_gone_soon_and_its_counts_stay(running: Fleet) -> None:
    with storm(running.address):
        before, counted = running.workers(), [requests(running)]
        victim = min(before)
        running.kill(victim)

        def is_gone() -> bool:
            counted.append(requests(running))
            return victim not in running.workers()

        gone_after = eventually(is_gone)
        eventually(lambda: is_gone() and all_are_there(running))
        texts = [diagnosis["text"] for diagnosis in running.fetch_data()["diagnoses"]]
        counted.append(requests(running))
    assert counted == sorted(counted)
    assert any("without deregistering" in text for text in texts)
    # By its lock, which the system let go of; a word that it does not say any more is missed much later.
    assert gone_after < 15


def test_a_reload_leaves_no_ghost_and_its_counts_stay(running: Fleet) -> None:
    with storm(running.address):
        before, counted = set(running.workers()), [requests(running)]
        running.service.reload()

        def are_replaced() -> bool:
            counted.append(requests(running))
            return not before & set(running.workers()) and all_are_there(running)

        eventually(are_replaced)
        counted.append(requests(running))
    assert counted == sorted(counted)
    assert counted[-1] > counted[0]


@pytest.mark.parametrize(("view", "kind"), [("idles", "idle-held"), ("lingers", "long statement"), ("nests", "nested")])
def test_a_wrong_hold_is_shown_and_ended_from_the_page_while_it_lasts(running: Fleet, view: str, kind: str) -> None:
    def shown() -> list[dict[str, Any]]:
        return [one for one in running.fetch_data()["holders"] if kind in one["violations"]]

    with ThreadPoolExecutor(1) as pool:
        request = pool.submit(httpx2.get, f"{running.address}/wrong/{view}?seconds={HELD}", timeout=30)
        started_at = time.monotonic()
        eventually(lambda: bool(shown()))
        (holder,) = shown()
        numbers = {name: str(holder[key]) for name, key in (("connection", "id"), ("checkout", "checkout"))}
        outcome = running.perform("end", process=holder["process"], **numbers)
        eventually(lambda: not shown())
        status = request.result().status_code
        took = time.monotonic() - started_at
    assert took < HELD
    assert f"GET wrong.{view} (request " in holder["name"]
    assert "tests/integration/misbehaving.py:" in holder["place"]
    assert outcome.startswith(f"Ended connection {holder['id']} of GET wrong.{view}")
    # A statement ends with an error for the request that waits for it, and is not repeated.
    assert status == 503 if view == "lingers" else status in {200, 500}


@pytest.mark.parametrize(("view", "kind"), [("leaks", "leaked"), ("orphans", "orphaned")])
def test_a_hold_that_nobody_has_any_more_is_an_event_with_its_line(running: Fleet, view: str, kind: str) -> None:
    started_at = time.time()
    httpx2.get(f"{running.address}/wrong/{view}", timeout=20).raise_for_status()

    def events() -> list[dict[str, Any]]:
        return [one for one in running.fetch_data()["events"] if one["kind"] == kind and one["at"] > started_at]

    eventually(lambda: bool(events()))
    assert "tests/integration/misbehaving.py:" in events()[0]["place"]
    assert any(kind in diagnosis["text"] for diagnosis in running.fetch_data()["diagnoses"])


def test_the_page_answers_at_once_while_every_request_thread_holds_a_connection(
    running: Fleet, server: DatabaseServer
) -> None:
    def linger() -> None:
        httpx2.get(f"{running.address}/wrong/lingers?seconds={HELD}", timeout=60)

    # Three times as many as there are threads: no worker gets too few of them.
    asking = [threading.Thread(target=linger) for _ in range(WORKERS * THREADS * 3)]
    for one in asking:
        one.start()
    # As the server sees it: to ask the console would wait for what is about to be measured.
    eventually(lambda: len(sleeping(server)) == WORKERS * THREADS)
    took = [seconds_for_the_page(running) for _ in range(5)]
    eventually(lambda: "connections have been held for up to" in running.client.get("/console").text)
    eventually(lambda: "no thread has been free for" in running.client.get("/console").text)
    eventually(lambda: are_over(server, asking))
    assert max(took) < HELD / 2


def sleeping(server: DatabaseServer) -> list[int]:
    """Return the connections on which a view lingers."""
    lingering = "SELECT id FROM information_schema.processlist WHERE user = 'fleet' AND info LIKE 'SELECT SLEEP%'"
    return [int(number) for (number,) in server.execute(lingering)]


def are_over(server: DatabaseServer, asking: list[threading.Thread]) -> bool:
    """End the statements that sleep, and say whether all who waited for them have gone."""
    for number in sleeping(server):
        # Its statement may have ended meanwhile, and its connection with it.
        with suppress(pymysql.err.OperationalError):
            server.execute(f"KILL QUERY {number}")
    return not any(one.is_alive() for one in asking)


def test_a_drained_worker_ends_in_order_and_another_takes_its_place(running: Fleet) -> None:
    before = running.workers()
    victim = min(before)
    outcome = running.perform("drain", process=before[victim]["key"])
    eventually(lambda: victim not in running.workers() and all_are_there(running), log=running.log)
    assert "finishes its requests and ends" in outcome
    assert f"(process {victim})" in running.client.get("/console/audit").text
    sentences = [event["sentence"] for event in running.fetch_data()["events"]]
    assert any(f"(process {victim}) has ended in order." in sentence for sentence in sentences)


def test_a_resize_holds_in_every_worker_also_in_one_that_starts_later(running: Fleet) -> None:
    assert sizes(running) == {THREADS}
    running.perform("resize", lane="interactive", size="3")
    eventually(lambda: sizes(running) == {3})
    victim = min(running.workers())
    running.kill(victim)
    eventually(lambda: victim not in running.workers() and all_are_there(running))
    eventually(lambda: sizes(running) == {3})
    too_much = {"lane": "interactive", "size": "60"}
    refused = running.client.get("/console/actions/resize", params=too_much, follow_redirects=True).text
    assert "That does not fit" in refused
    running.perform("resize", lane="interactive", size=str(THREADS))
    eventually(lambda: sizes(running) == {THREADS})


def test_the_background_lane_can_be_paused_and_goes_on(running: Fleet) -> None:
    running.perform("pause", lane="background")
    eventually(lambda: paused(running) == {True})
    assert "The background lane is paused by an operator" in running.client.get("/console").text
    running.perform("resume", lane="background")
    eventually(lambda: paused(running) == {False})


def test_a_public_address_never_shows_the_console_or_its_numbers(running: Fleet) -> None:
    cookies, console = dict(running.client.cookies), running.console.removeprefix("http://")
    public = [
        httpx2.get(f"{running.address}{path}", cookies=cookies, headers=headers).status_code
        for path in ("/console", "/console/data.json", "/console/audit", "/metrics", "/api/v1/pools")
        for headers in ({}, {"Host": console}, {"X-Forwarded-Host": console})
    ]
    assert set(public) == {404}
    assert running.client.get("/console").status_code == 200


# The last one: it takes the server away.
def test_the_page_answers_at_once_while_the_database_is_frozen_and_after_it_was_killed(
    running: Fleet, server: DatabaseServer
) -> None:
    eventually(lambda: running.fetch_data()["server"]["facts"] is not None)
    server.pause()
    try:
        frozen = [seconds_for_the_page(running) for _ in range(5)]
        eventually(lambda: running.fetch_data()["server"]["error"] is not None)
        text = running.client.get("/console").text
    finally:
        server.resume()
    server.kill()
    dead = [seconds_for_the_page(running) for _ in range(5)]
    eventually(lambda: running.fetch_data()["server"]["error"] is not None)
    server.start(*server.options)
    eventually(lambda: running.fetch_data()["server"]["error"] is None)
    # Its own second, on a machine that may be busy.
    assert max(frozen) < 3
    assert max(dead) < 3
    assert "The database has not responded for" in text
    # What was known before is still there.
    assert "max_connections" in text


def requests(running: Fleet) -> float:
    """The counter of requests, as Prometheus would read it; from whichever worker answers."""
    for _ in range(5):
        try:
            lines = httpx2.get(f"{running.console}/metrics", timeout=10).text.splitlines()
            return float(next(line for line in lines if line.startswith("poolproof_requests_total")).split()[1])
        except httpx2.TransportError:
            # The worker that would have answered was just killed.
            time.sleep(0.05)
    raise AssertionError("no worker answers")


def sizes(running: Fleet) -> set[int]:
    lanes = [lane for one in running.workers().values() for lane in one["lanes"]]
    return {lane["size"] for lane in lanes if lane["name"] == "interactive"}


def paused(running: Fleet) -> set[bool]:
    lanes = [lane for one in running.workers().values() for lane in one["lanes"]]
    return {lane["is_paused"] for lane in lanes if lane["name"] == "background"}


def seconds_for_the_page(running: Fleet) -> float:
    started_at = time.monotonic()
    assert running.client.get("/console").status_code == 200
    return time.monotonic() - started_at
