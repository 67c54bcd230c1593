"""Players of a running service, as a unit of a drill's load."""

from __future__ import annotations

from typing import Any

from poolproof.lab.loadgen.http_client import OK_STATUSES, send_request
from webapp.lab.drills.paced_load import UnitError
from webapp.lab.push.quiz_discovery import find_open_quiz
from webapp.lab.services.poolproof_service import PoolproofService
from webapp.lab.services.processes import HOST


class Players:
    """Players of the service's first open quiz, who answer its first question and read the leaderboard for ever."""

    def __init__(self, service: PoolproofService, count: int) -> None:
        """Start an attempt for each player."""
        self._port = service.port
        _, self._quiz_id, items = find_open_quiz(HOST, service.port, None)
        self._item, self._choice_count = items[0]
        path = f"/api/v1/quizzes/{self._quiz_id}/attempts"
        self._tokens = [self._request("POST", path, {"name": f"Player {number}"})["token"] for number in range(count)]

    def play(self, number: int, turn: int) -> None:
        """Send one request: an answer and a reading of the leaderboard alternate."""
        if turn % 2:
            body = {"choices": [turn % self._choice_count]}
            self._request("PUT", f"/api/v1/attempts/{self._tokens[number]}/answers/{self._item}", body)
        else:
            self._request("GET", f"/api/v1/quizzes/{self._quiz_id}/leaderboard")

    def _request(self, method: str, path: str, body: object = None) -> Any:
        """Send a request on a connection of its own and return the JSON of the response.

        Raises:
            UnitError: when the status is not one of success.
            OSError, HTTPException: when there is no complete response.
        """
        response = send_request(HOST, self._port, method, path, body)
        if response.status not in OK_STATUSES:
            raise UnitError(f"status {response.status}")
        return response.json()
