"""An hour in the life of a service, in fast motion, on any server: over REST, through the service as it is deployed.

Each step is what people do, and compares what they see with what it must be. Texts have all that a server's settings
could spoil: quotes of both kinds, backslashes, letters of several alphabets, a character outside of the basic plane.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import make_url

from poolproof.engine import create_unpooled_engine
from poolproof.settings import PoolSettings
from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support.accounts import OPERATORS_PASSWORD_HASH
from tests.support.commands import called
from tests.support.server_configurations import url_of
from tests.support.waiting import wait_until
from webapp.accounts import users
from webapp.accounts.roles import Role
from webapp.lab.services.console_operator import NAME, signed_in
from webapp.lab.services.database_server import DatabaseServer
from webapp.lab.services.fake_opentdb import ContractOptions, FakeOpenTdb, dedupe_keys, make_questions
from webapp.lab.services.poolproof_service import PoolproofService, run_poolproof_service

HARD_TEXT = "It's \"q\" \\' \\\\ 100% ß 한국 🦆"
HARD_NAME = "ß한🦆 \\'\""
QUESTIONS = 3
PLAYERS = 20
IMPORTED = 40
BANK = make_questions(30, 2)
TIMEOUT = 60.0
KEEPALIVE_INTERVAL = 2
IDLE_SECONDS = 2.0 * KEEPALIVE_INTERVAL
"""Seconds."""
SETTINGS = {
    "POOLPROOF_WORKERS": "1", "POOLPROOF_THREADS": "4", "POOLPROOF_COLLECTOR_PROCESSES": "1",
    "POOLPROOF_OPENTDB_MIN_INTERVAL": "0",
    # A player's attempt is as quick as the machine.
    "POOLPROOF_PLAYER_RATE_LIMIT": "0",
    "POOL_KEEPALIVE_INTERVAL": str(KEEPALIVE_INTERVAL),
}  # fmt: skip


class Life:
    """A service that has just been started for the first time, and its author."""

    def __init__(self, server: DatabaseServer, service: PoolproofService, folder: Path) -> None:
        """Sign in with the password that the first start has printed."""
        self.server, self.service, self.folder = server, service, folder
        self.client = httpx2.Client(base_url=f"{service.address}/api/v1", timeout=TIMEOUT)
        account = {"name": "author", "password": service.password}
        self.author = {"Authorization": f"Bearer {self.post('/tokens', account)['token']}"}
        self.quiz: dict[str, Any] = {}
        """The published quiz as players see it."""
        self.finished = 0
        """How many have played it to its end."""

    def post(self, path: str, body: Any = None, **more: Any) -> Any:
        """Send and return what comes back; anything but a success fails."""
        return self._parsed(self.client.post(path, **({"json": body} if body is not None else {}), **more))

    def get(self, path: str, **more: Any) -> Any:
        """Return what is there; anything but a success fails."""
        return self._parsed(self.client.get(path, **more))

    def ask_doctor(self) -> None:
        """Have the doctor find nothing that fails, and name the server."""
        done = called(url_of(self.server), self.folder, "doctor")
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"{self.server.flavour} {self.server.version}" in done.stdout

    def publish(self) -> None:
        """Write items, make a quiz of them and publish it."""
        items = [
            self.post("/items", {**_item(number), "category": HARD_TEXT}, headers=self.author)["id"]
            for number in range(QUESTIONS)
        ]
        made = self.post("/quizzes", {"title": HARD_TEXT, "items": items}, headers=self.author)
        self.post(f"/quizzes/{made['id']}/publish", {}, headers=self.author)
        self.quiz = self.get(f"/quizzes/{made['id']}")
        assert self.quiz["title"] == HARD_TEXT
        stems = [question["stem"] for question in self.quiz["questions"]]
        assert sorted(stems) == sorted(_item(number)["stem"] for number in range(QUESTIONS))

    def play(self, players: int = PLAYERS) -> None:
        """Let so many play at once, each with another number of right answers; all are on the leaderboard."""
        with ThreadPoolExecutor(players) as pool:
            scores = list(pool.map(self._play_attempt, range(players)))
        assert scores == [number % (QUESTIONS + 1) for number in range(players)], scores
        self.finished += players
        leaderboard = f"{self._quiz_path}/leaderboard"
        # It may be a second old.
        wait_until(lambda: self.get(leaderboard)["finished"] == self.finished, "a player is not on the leaderboard")
        names = {entry["player_name"] for entry in self.get(leaderboard)["places"]}
        assert all(name.endswith(HARD_NAME) for name in names), names
        ((seconds,),) = self.server.execute(
            "SELECT MAX(ABS(TIMESTAMPDIFF(SECOND, finished_at, UTC_TIMESTAMP()))) FROM poolproof.attempt"
        )
        assert seconds < 1800, "times are not UTC"

    def import_and_export(self) -> None:
        """Import a file after a look at it, export it as it was, and take the import back."""
        file = json.dumps(
            {"format": "poolproof items", "version": 1, "items": [_item(100 + number) for number in range(IMPORTED)]}
        ).encode()
        address = "/items/import?format=json&category=Imported&name=items.json"
        assert self.post(f"{address}&dry_run=true", content=file, headers=self.author)["new"] == IMPORTED
        done = self.post(address, content=file, headers=self.author)
        assert (done["state"], done["new"], done["rejected"]) == ("done", IMPORTED, 0)
        exported = self.client.get("/items/export?format=json&category=Imported", headers=self.author)
        stems = [item["stem"] for item in exported.json()["items"]]
        assert stems == [_item(100 + number)["stem"] for number in range(IMPORTED)]
        found = self.get("/items?search=duckling", headers=self.author)["items"]
        assert found
        assert self.post(address, content=file, headers=self.author)["duplicate"] == IMPORTED
        undone = self.post(f"/imports/{done['id']}/undo", headers=self.author)
        assert (undone["state"], undone["removed"]) == ("undone", IMPORTED)

    def collect(self) -> None:
        """Have the collector fetch a whole source."""
        run = self.post("/collection-runs", {"source": "opentdb"}, headers=self.author)
        address = f"/collection-runs/{run['id']}"
        wait_until(lambda: self.get(address, headers=self.author)["status"] not in {"queued", "running"})
        run = self.get(address, headers=self.author)
        assert (run["status"], run["new"], run["rejected"]) == ("finished", len(dedupe_keys(BANK)), 0), run

    def look_at_console(self) -> None:
        """Look at the console and the metrics as an operator."""
        engine = create_unpooled_engine(make_url(url_of(self.server)), PoolSettings(), "test")
        UnitOfWork(engine).run_in_transaction(
            lambda connection: users.add(connection, NAME, OPERATORS_PASSWORD_HASH, Role.OPERATOR)
        )
        with signed_in(self.service) as operator:
            for path in ("/console", "/console/audit", "/metrics"):
                operator.client.get(path).raise_for_status()
            wait_until(lambda: bool(operator.fetch_data()["checks"]), "the console does not know the server")
            checks = operator.fetch_data()["checks"]
        assert checks[0]["sentence"].startswith(f"{self.server.flavour} {self.server.version}"), checks
        assert not [check for check in checks if check["level"] == "fail"], checks

    def restart_server(self) -> None:
        """Let the server crash and be asked for, and start again; leave the service alone, and go on as before."""
        assert self._readiness() == 200
        self.server.kill()
        assert self._readiness() == 503
        self.server.start(*self.server.options)
        time.sleep(IDLE_SECONDS)
        assert self._readiness() == 200
        self.play(2)

    def read_log(self) -> None:
        """Find no error in the service's log."""
        found = re.findall(r"^.*(?:Traceback|\"level\": \"error\").*$", self.service.log.read_text(), re.MULTILINE)
        assert not found, "\n".join(found)

    def _play_attempt(self, number: int) -> int:
        name = {"name": f"{number} {HARD_NAME}"}
        attempt = f"/attempts/{self.post(f'{self._quiz_path}/attempts', name)['token']}"
        for position, question in enumerate(self.quiz["questions"]):
            wanted = "right" if position < number % (QUESTIONS + 1) else "wrong"
            choice = next(place for place, text in enumerate(question["choices"]) if text.startswith(wanted))
            answer = self.client.put(f"{attempt}/answers/{question['item']}", json={"choices": [choice]})
            assert answer.is_success, answer.text
        score: int = self.post(f"{attempt}/finish")["score"]
        return score

    def _readiness(self) -> int:
        return httpx2.get(f"{self.service.address}/readyz", timeout=TIMEOUT).status_code

    @property
    def _quiz_path(self) -> str:
        return f"/quizzes/{self.quiz['id']}"

    def _parsed(self, response: httpx2.Response) -> Any:
        assert response.is_success, f"{response.request.url}: {response.status_code} {response.text}"
        return response.json()


STEPS: tuple[Callable[[Life], None], ...] = (
    Life.ask_doctor,
    Life.publish,
    Life.play,
    Life.import_and_export,
    Life.collect,
    Life.look_at_console,
    Life.restart_server,
    Life.ask_doctor,
    Life.read_log,
)
"""All of it, in order."""


@contextmanager
def life_on(server: DatabaseServer, folder: Path) -> Iterator[Life]:
    """Start a service for the first time on the empty schema of this server, and a source of questions beside it."""
    with (
        FakeOpenTdb(BANK, ContractOptions()) as source,
        run_poolproof_service(url_of(server), folder, POOLPROOF_OPENTDB_URL=source.address, **SETTINGS) as service,
    ):
        life = Life(server, service, folder)
        try:
            yield life
        finally:
            life.client.close()


def _item(number: int) -> dict[str, Any]:
    return {
        "kind": "single",
        "stem": f"What about duckling number {number}? {HARD_TEXT}",
        "choices": [f"right {HARD_TEXT}", f"wrong {HARD_TEXT}", "worse"],
        "right": [0],
    }
