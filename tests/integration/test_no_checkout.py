"""What many do at the same moment touches no connection: opening a quiz, starting, and the board."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import httpx2

from tests.integration.conftest import OPTIONS, WORKERS
from webapp.lab.services.database_server import DatabaseServer
from webapp.lab.services.poolproof_service import PoolproofService
from webapp.quizzes import published_cache

VISITORS, VISITS = 8, 200


def open_and_look(service: PoolproofService, visits: int = VISITS) -> set[int]:
    """Open the quiz, start, and look at the board, again and again, by many at once; return the statuses."""
    listed = httpx2.get(f"{service.address}/api/v1/quizzes").json()["quizzes"][0]
    quiz, slug = listed["id"], listed["slug"]

    def visit(_: int) -> set[int]:
        with httpx2.Client(base_url=service.address, timeout=30) as client:
            return {
                answer.status_code
                for _ in range(visits // VISITORS)
                for answer in (
                    client.get(f"/quizzes/{slug}"),
                    client.get(f"/api/v1/quizzes/{quiz}"),
                    client.post(f"/api/v1/quizzes/{quiz}/attempts", json={"name": "Ada"}),
                    client.get(f"/api/v1/quizzes/{quiz}/leaderboard"),
                )
            }

    with ThreadPoolExecutor(VISITORS) as visitors:
        return set().union(*visitors.map(visit, range(VISITORS)))


def test_opening_starting_and_the_board_cost_two_statements_for_each_worker_and_second(
    server: DatabaseServer, service: PoolproofService
) -> None:
    with server.connect() as asking, asking.cursor() as cursor:

        def questions() -> int:
            cursor.execute("SHOW GLOBAL STATUS LIKE 'Questions'")
            return int(cursor.fetchone()[1])

        open_and_look(service, 2 * VISITORS)
        before, started_at = questions(), time.monotonic()
        statuses = open_and_look(service)
        seconds = time.monotonic() - started_at
        statements = questions() - before
    assert statuses == {200, 201}
    # The mark and the board; the list at the start; and a ping or two of the keepers.
    looks = WORKERS * (seconds / published_cache.CATALOG_TTL + 2) * 2
    assert statements < looks + 10
    assert statements < VISITS


def test_all_of_it_works_while_the_database_is_stopped(server: DatabaseServer, service: PoolproofService) -> None:
    listed = httpx2.get(f"{service.address}/api/v1/quizzes").json()["quizzes"][0]
    addresses = [
        f"/quizzes/{listed['slug']}",
        f"/api/v1/quizzes/{listed['id']}",
        f"/api/v1/quizzes/{listed['id']}/leaderboard",
        f"/quizzes/{listed['slug']}/leaderboard",
    ]
    # Each worker must have been asked once: more at a time than one worker has threads.
    with ThreadPoolExecutor(VISITORS) as visitors:
        list(visitors.map(lambda address: httpx2.get(service.address + address, timeout=30), addresses * 10))
    server.stop()
    try:
        statuses = {httpx2.get(service.address + address, timeout=30).status_code for address in addresses * 5}
        start = httpx2.post(f"{service.address}/api/v1/quizzes/{listed['id']}/attempts", json={"name": "Ada"})
    finally:
        server.start(*OPTIONS)
    assert statuses == {200}
    assert start.status_code == 201
