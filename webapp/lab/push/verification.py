"""Reads back what was acknowledged, through the service's REST interface."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing

from poolproof.lab.loadgen.http_client import HttpClient, HttpResponse
from webapp.lab.loadgen.player import Visit
from webapp.lab.push.push_report import VerificationResult

CONCURRENCY = 8
MAX_ATTEMPTS = 20
RETRY_INTERVAL = 0.5
NOT_FOUND = 404


def verify_acknowledged(host: str, port: int, visits: Sequence[Visit]) -> VerificationResult:
    """Read every attempt, and compare it with what the service acknowledged."""
    return asyncio.run(_verify_all(host, port, [visit for visit in visits if visit.token]))


async def _verify_all(host: str, port: int, visits: Sequence[Visit]) -> VerificationResult:
    counts = await asyncio.gather(
        *(_verify_some(host, port, visits[first::CONCURRENCY]) for first in range(min(CONCURRENCY, len(visits))))
    )
    totals = [sum(column) for column in zip(*counts, strict=True)] if counts else [0] * 5
    return VerificationResult(*totals)


async def _verify_some(host: str, port: int, visits: Sequence[Visit]) -> tuple[int, int, int, int, int]:
    answers = missing = changed = finishes = unfinished = 0
    with closing(HttpClient(host, port)) as client:
        for visit in visits:
            stored = (await _get_with_retry(client, f"/api/v1/attempts/{visit.token}")).json()
            chosen = {question["item"]: question["chosen"] for question in stored["questions"]}
            answers += len(visit.acknowledged)
            missing += sum(not chosen.get(item) for item in visit.acknowledged)
            changed += sum(
                bool(chosen.get(item)) and chosen[item] != [choice] for item, choice in visit.acknowledged.items()
            )
            finishes += visit.is_finished
            unfinished += visit.is_finished and stored["score"] is None
    return answers, missing, changed, finishes, unfinished


async def _get_with_retry(client: HttpClient, path: str) -> HttpResponse:
    for _ in range(MAX_ATTEMPTS):
        response = await client.request("GET", path)
        if response.status < NOT_FOUND:
            return response
        await asyncio.sleep(RETRY_INTERVAL)
    raise OSError(f"{path[:40]}… cannot be read back: status {response.status}")
