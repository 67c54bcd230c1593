"""Reads back what was acknowledged, through the service's own door."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing

from webapp.lab.loadgen.http_client import HttpClient, HttpResponse
from webapp.lab.loadgen.player import Visit
from webapp.lab.push.push_report import VerificationResult

CONCURRENCY = 8
MAX_ATTEMPTS = 20
RETRY_INTERVAL = 0.5
NOT_FOUND = 404


def verify_acknowledged(host: str, port: int, visits: Sequence[Visit]) -> VerificationResult:
    """Read every attempt, and compare with what its player was told."""
    return asyncio.run(_verify_all(host, port, [visit for visit in visits if visit.token]))


async def _verify_all(host: str, port: int, visits: Sequence[Visit]) -> VerificationResult:
    found = await asyncio.gather(
        *(_verify_some(host, port, visits[first::CONCURRENCY]) for first in range(min(CONCURRENCY, len(visits))))
    )
    sums = [sum(column) for column in zip(*found, strict=True)] if found else [0] * 5
    return VerificationResult(*sums)


async def _verify_some(host: str, port: int, visits: Sequence[Visit]) -> tuple[int, int, int, int, int]:
    answers = missing = changed = finishes = unfinished = 0
    with closing(HttpClient(host, port)) as browser:
        for visit in visits:
            stored = (await _get_with_retry(browser, f"/api/v1/attempts/{visit.token}")).json()
            chosen = {question["item"]: question["chosen"] for question in stored["questions"]}
            answers += len(visit.acknowledged)
            missing += sum(not chosen.get(item) for item in visit.acknowledged)
            changed += sum(bool(chosen.get(item)) and chosen[item] != [one] for item, one in visit.acknowledged.items())
            finishes += visit.is_finished
            unfinished += visit.is_finished and stored["score"] is None
    return answers, missing, changed, finishes, unfinished


async def _get_with_retry(client: HttpClient, path: str) -> HttpResponse:
    for _ in range(MAX_ATTEMPTS):
        answer = await client.request("GET", path)
        if answer.status < NOT_FOUND:
            return answer
        await asyncio.sleep(RETRY_INTERVAL)
    raise OSError(f"{path[:40]}… cannot be read back: status {answer.status}")
