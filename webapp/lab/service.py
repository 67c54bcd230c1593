"""The service as it is deployed, started by the lab on its own database: Gunicorn, workers and all."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from webapp.lab.processes import start
from webapp.lab.servers import tail
from webapp.lab.serving import NotServingError, free_port
from webapp.lab.steady import UnitError
from webapp.settings import HOME, bare_environment

START_WITHIN = STOP_WITHIN = 60.0
ANSWERS_WITHIN = 30.0
"""Seconds."""
WELL = {200, 201}


class Service:
    """A running service."""

    def __init__(self, address: str, folder: Path, **settings: str) -> None:
        """Serve the database at `address` on a free port; `settings` are POOL_* and POOLPROOF_* variables."""
        self.port = free_port()
        self._folder = folder
        self._environment = bare_environment(
            DATABASE_URL=address,
            POOLPROOF_BIND=f"127.0.0.1:{self.port}",
            POOLPROOF_CONSOLE_BIND="off",
            POOLPROOF_INSTANCE=str(folder),
            # A drill's few players do more than people can.
            POOLPROOF_WRITES_PER_SECOND="0",
            **settings,
        )
        self.start()

    def start(self) -> None:
        """Start, and return when it answers.

        Raises:
            NotServingError: when it does not.
        """
        log = self._folder / "log"
        self._process = start([sys.executable, "-m", "webapp", "serve"], log, self._environment, HOME)
        deadline = time.monotonic() + START_WITHIN
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError, http.client.HTTPException, UnitError):
                self.ask("GET", "/healthz")
                return
            time.sleep(0.05)
        self.stop()
        raise NotServingError(f"The service did not start. Its log ends:\n{tail(log)}")

    def stop(self) -> None:
        """Shut down in order and wait for it."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(STOP_WITHIN)

    def reload(self) -> None:
        """Tell it to replace its workers by new ones."""
        self._process.send_signal(signal.SIGHUP)

    def workers(self) -> list[int]:
        """Return the process numbers of its workers, the oldest first."""
        master = self._process.pid
        children = Path(f"/proc/{master}/task/{master}/children").read_text(encoding="ascii")
        return sorted(int(number) for number in children.split())

    def kill_a_worker(self) -> int:
        """End a worker at once; returns its process number."""
        victim = self.workers()[0]
        os.kill(victim, signal.SIGKILL)
        return victim

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Send a request on a connection of its own and return what its answer holds, read as JSON if it is that.

        Raises:
            UnitError: when the status says that it did not go well.
            OSError: when there is no answer. Or HTTPException.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWERS_WITHIN)
        content = None if body is None else json.dumps(body)
        headers = {"Connection": "close", **({"Content-Type": "application/json"} if content else {})}
        try:
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status not in WELL:
            raise UnitError(f"status {response.status}")
        return json.loads(answer) if "json" in (response.getheader("Content-Type") or "") else answer


class Players:
    """Players of the service's first quiz, who answer and look at the board for ever."""

    def __init__(self, service: Service, count: int) -> None:
        """Let so many begin an attempt."""
        self._service = service
        self._quiz = service.ask("GET", "/api/v1/quizzes")["quizzes"][0]["id"]
        question = service.ask("GET", f"/api/v1/quizzes/{self._quiz}")["questions"][0]
        self._item, self._choices = question["item"], len(question["choices"])
        start_at = f"/api/v1/quizzes/{self._quiz}/attempts"
        self._tokens = [service.ask("POST", start_at, {"name": f"Player {one}"})["token"] for one in range(count)]

    def play(self, number: int, turn: int) -> None:
        """Answer and look at the board by turns: one request."""
        if turn % 2:
            chosen = {"choices": [turn % self._choices]}
            self._service.ask("PUT", f"/api/v1/attempts/{self._tokens[number]}/answers/{self._item}", chosen)
        else:
            self._service.ask("GET", f"/api/v1/quizzes/{self._quiz}/leaderboard")
