"""Answers on a service whose rows are locked by others, whose workers stand still, and whose server speaks Korean."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import Connection, event

from tests.integration.conftest import OPTIONS, TWO_WORKERS
from tests.integration.fleet import eventually
from tests.support.application import app_on
from tests.support.databases import Databases
from webapp.attempts import attempt_start, tokens
from webapp.attempts.answer_writer import AnswerWriter
from webapp.attempts.batch_writes import SaveAnswers
from webapp.lab.factories import make_quiz
from webapp.lab.services.database_server import DatabaseServer
from webapp.lab.services.poolproof_service import PoolproofService, run_poolproof_service
from webapp.lab.services.programs import Flavour

PATIENCE = 8
"""Seconds that the service works on an answer."""


@pytest.fixture(scope="module")
def patient_service(
    server: DatabaseServer, prepared: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PoolproofService]:
    variables = TWO_WORKERS | {"POOL_TIMEOUT": str(PATIENCE)}
    with run_poolproof_service(server.url("poolproof"), tmp_path_factory.mktemp("patient"), **variables) as service:
        yield service


@dataclass(frozen=True)
class Player:
    """A player of the sample quiz on the service."""

    service: PoolproofService
    path: str
    item: int

    def answer(self, choice: int) -> int:
        """Send an answer; return the status."""
        address = f"{self.service.address}{self.path}/answers/{self.item}"
        return httpx2.put(address, json={"choices": [choice]}, timeout=60).status_code

    def stored(self) -> list[int]:
        """Return what is stored."""
        body = httpx2.get(f"{self.service.address}{self.path}", timeout=60).raise_for_status().json()
        return next(list(one["chosen"]) for one in body["questions"] if one["item"] == self.item)


def players(service: PoolproofService, count: int) -> list[Player]:
    """Players who have begun, with one answer each."""
    api = f"{service.address}/api/v1"
    quiz = httpx2.get(f"{api}/quizzes").json()["quizzes"][0]["id"]
    item = httpx2.get(f"{api}/quizzes/{quiz}").json()["questions"][0]["item"]
    started = [httpx2.post(f"{api}/quizzes/{quiz}/attempts", json={}).json()["token"] for _ in range(count)]
    begun = [Player(service, f"/api/v1/attempts/{token}", item) for token in started]
    assert {player.answer(0) for player in begun} == {200}
    return begun


def lock_newest_attempt(server: DatabaseServer) -> Callable[[], None]:
    """Lock the row of the attempt that was begun last; return what ends that."""
    holder = server.connect("poolproof")
    with holder.cursor() as cursor:
        cursor.execute("BEGIN")
        # Two statements: one that sorts would lock every row that it reads.
        cursor.execute("SELECT id FROM attempt ORDER BY started_at DESC LIMIT 1")
        cursor.execute("SELECT id FROM attempt WHERE id = %s FOR UPDATE", cursor.fetchone())
    return holder.close  # type: ignore[no-any-return]


@pytest.mark.slow(reason="one answer is worked on for as long as the service does that")
def test_while_one_attempt_is_locked_twenty_others_are_served_and_only_its_player_gets_503(
    server: DatabaseServer, patient_service: PoolproofService
) -> None:
    *others, blocked = players(patient_service, 21)
    unlock = lock_newest_attempt(server)
    with ThreadPoolExecutor(21) as senders:
        told = senders.submit(blocked.answer, 1)
        for choice in (1, 2, 1):
            assert set(senders.map(lambda player, choice=choice: player.answer(choice), others)) == {200}
        assert told.result() == 503
    unlock()
    assert blocked.answer(2) == 200
    assert [player.stored() for player in (others[0], blocked)] == [[1], [2]]


@pytest.mark.slow(reason="a worker is frozen with an answer in its hands")
def test_an_answer_that_a_frozen_worker_writes_late_does_not_replace_a_newer_one(
    server: DatabaseServer, patient_service: PoolproofService
) -> None:
    (player,) = players(patient_service, 1)
    first, second = patient_service.workers()
    unlock = lock_newest_attempt(server)
    try:
        with ThreadPoolExecutor(1) as senders:
            os.kill(second, signal.SIGSTOP)
            late = senders.submit(player.answer, 1)
            # The worker has it and cannot write it yet: the row is locked.
            eventually(lambda: waiting_writes(patient_service) == 1)
            os.kill(first, signal.SIGSTOP)
            os.kill(second, signal.SIGCONT)
            unlock()
            assert player.answer(2) == 200
            os.kill(first, signal.SIGCONT)
            assert late.result() in {200, 503}
    finally:
        for worker in (first, second):
            os.kill(worker, signal.SIGCONT)
    assert player.stored() == [2]


def waiting_writes(service: PoolproofService) -> int:
    metrics = httpx2.get(f"{service.console}/metrics", timeout=60).text
    return sum(
        int(float(line.rpartition(" ")[2]))
        for line in metrics.splitlines()
        if line.startswith("poolproof_group_commit_waiting{")
    )


@pytest.mark.parametrize("language", ["ko_KR", "de_DE"])
def test_in_whatever_language_the_server_speaks_a_batch_is_a_few_statements(
    databases: Databases, server_flavour: Flavour, tmp_path: Path, language: str
) -> None:
    server = databases.breakable(server_flavour, *OPTIONS, f"--lc-messages={language}")
    databases.restore(server, "poolproof", "migrated")
    with app_on(server.url("poolproof"), tmp_path) as app:
        work = app.extensions["pooling"].work
        quiz = make_quiz(work)
        writer = AnswerWriter(work, timeout=30)
        claims = [attempt_start.begin_attempt(quiz, tokens.new_player_id(), "Ada") for _ in range(60)]
        statements: list[str] = []

        def count(connection: Connection, cursor: object, statement: str, *rest: object) -> None:
            statements.append(statement)

        event.listen(work.engine, "before_cursor_execute", count)
        for bits in (1, 2):
            send_all(writer, [SaveAnswers(claim, {quiz.document.questions[0].item_id: bits}) for claim in claims])
        writer.group_commit.stop()
        batches = sum(writer.group_commit.batch_sizes.values())
    assert sum(size * count for size, count in writer.group_commit.batch_sizes.items()) == 120
    # BEGIN, attempts, answers, look; three more to know the server at first.
    assert len(statements) <= 4 * batches + 5


def send_all(writer: AnswerWriter, entries: Sequence[SaveAnswers]) -> None:
    """Send all at once, and return when all are stored."""
    futures = [writer.submit(entry) for entry in entries]
    assert [future.result(60) for future in futures] == [None] * len(entries)
