"""Players of a running service, as a unit of a drill's load."""

from __future__ import annotations

import http.client
import json
from typing import Any

from webapp.lab.drills.paced_load import UnitError
from webapp.lab.services.poolproof_service import PoolproofService
from webapp.lab.services.processes import HOST

RESPONSE_TIMEOUT = 30.0
"""Seconds."""
OK_STATUSES = {200, 201}


class Players:
    """Players of the service's first quiz, who answer and look at the board for ever."""

    def __init__(self, service: PoolproofService, count: int) -> None:
        """Let so many begin an attempt."""
        self._port = service.port
        self._quiz_id = self._request("GET", "/api/v1/quizzes")["quizzes"][0]["id"]
        question = self._request("GET", f"/api/v1/quizzes/{self._quiz_id}")["questions"][0]
        self._item, self._choice_count = question["item"], len(question["choices"])
        start_at = f"/api/v1/quizzes/{self._quiz_id}/attempts"
        self._tokens = [
            self._request("POST", start_at, {"name": f"Player {number}"})["token"] for number in range(count)
        ]

    def play(self, number: int, turn: int) -> None:
        """Answer and look at the board by turns: one request."""
        if turn % 2:
            chosen = {"choices": [turn % self._choice_count]}
            self._request("PUT", f"/api/v1/attempts/{self._tokens[number]}/answers/{self._item}", chosen)
        else:
            self._request("GET", f"/api/v1/quizzes/{self._quiz_id}/leaderboard")

    def _request(self, method: str, path: str, body: object = None) -> Any:
        """Send a request on a connection of its own and return what its answer holds, read as JSON if it is that.

        Raises:
            UnitError: when the status says that it did not go well.
            OSError: when there is no answer. Or HTTPException.
        """
        connection = http.client.HTTPConnection(HOST, self._port, timeout=RESPONSE_TIMEOUT)
        content = None if body is None else json.dumps(body)
        headers = {"Connection": "close", **({"Content-Type": "application/json"} if content else {})}
        try:
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status not in OK_STATUSES:
            raise UnitError(f"status {response.status}")
        return json.loads(answer) if "json" in (response.getheader("Content-Type") or "") else answer
