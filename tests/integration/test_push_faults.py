"""Faults in the middle of a push: everybody comes through, and nothing that was acknowledged is missing or changed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests.integration.conftest import OPTIONS
from tests.integration.fleet import eventually
from tests.support.event_loop import run_coroutine
from webapp.lab.loadgen.load_generator import ProcessResult
from webapp.lab.loadgen.player import PushPlan, Visit, run_visit
from webapp.lab.push import verification
from webapp.lab.push.push_report import PushSummary, summarize
from webapp.lab.push.quiz_discovery import find_open_quiz
from webapp.lab.services.database_server import DatabaseServer
from webapp.lab.services.poolproof_service import PoolproofService

ARRIVAL, THINKING = 1.0, 0.3
"""Seconds in which all arrive, and before each answer."""


def kill_the_database(server: DatabaseServer, service: PoolproofService) -> None:
    answer_is_refused = an_answer_of_one_more_player(service)
    server.kill()
    eventually(answer_is_refused)
    server.start(*OPTIONS)


def freeze_the_database(server: DatabaseServer, service: PoolproofService) -> None:
    answer_is_refused = an_answer_of_one_more_player(service)
    server.pause()
    eventually(answer_is_refused)
    server.resume()


def kill_a_worker(server: DatabaseServer, service: PoolproofService) -> None:
    service.kill_worker()


def reload(server: DatabaseServer, service: PoolproofService) -> None:
    service.reload()


def an_answer_of_one_more_player(service: PoolproofService) -> Callable[[], bool]:
    """Return what sends it, and says whether it met the fault, as the answers of the push beside it do."""
    api = f"{service.address}/api/v1"
    quiz = httpx2.get(f"{api}/quizzes").json()["quizzes"][0]["id"]
    item = httpx2.get(f"{api}/quizzes/{quiz}").json()["questions"][0]["item"]
    token = httpx2.post(f"{api}/quizzes/{quiz}/attempts", json={}).json()["token"]
    answer = f"{api}/attempts/{token}/answers/{item}"
    return lambda: httpx2.put(answer, json={"choices": [0]}, timeout=30).status_code == 503


@pytest.mark.parametrize("users", [40, pytest.param(500, marks=pytest.mark.soak)])
@pytest.mark.parametrize("fault", [kill_the_database, freeze_the_database, kill_a_worker, reload])
@pytest.mark.slow(reason="a push with a fault in its middle, to the last player")
def test_everybody_comes_through_and_every_acknowledged_answer_is_stored(
    server: DatabaseServer,
    service: PoolproofService,
    fault: Callable[[DatabaseServer, PoolproofService], None],
    users: int,
) -> None:
    before = answers(server)
    # In a thread: the browser of other tests has an event loop in this one.
    with ThreadPoolExecutor(1) as aside:
        pushing = aside.submit(push, service, users)
        eventually(lambda: answers(server) > before + users)
        assert not pushing.done()
        fault(server, service)
        report = pushing.result(180)
    assert report.verification is not None
    assert report.verification.answers > users
    assert (report.verification.missing, report.verification.changed, report.verification.unfinished) == (0, 0, 0)
    assert report.failed == {}
    assert report.done == report.users == users
    if fault in {kill_the_database, freeze_the_database}:
        assert report.first_tries_failed.keys() & {"answer 503", "finish 503"}, "they met the fault"


def answers(server: DatabaseServer) -> int:
    ((count,),) = server.execute("SELECT COUNT(*) FROM answer", database="poolproof")
    return int(count)


def push(service: PoolproofService, users: int) -> PushSummary:
    host, port = service.address.removeprefix("http://").split(":")

    async def visit_all() -> list[Visit]:
        slug, quiz, items = find_open_quiz(host, int(port), None)
        plan = PushPlan(host, int(port), slug, quiz, items, time.monotonic(), ARRIVAL, THINKING, retry=True)
        return await asyncio.gather(*(run_visit(plan, number, users) for number in range(users)))

    visits = run_coroutine(visit_all())
    return summarize(
        [ProcessResult(visits, cpu_seconds=0, max_lag=0)],
        verification.verify_acknowledged(host, int(port), visits),
        None,
    )
