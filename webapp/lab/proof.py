"""Reads back what was acknowledged, through the service's own door."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing

from webapp.lab.browser import Answer, Browser
from webapp.lab.push import Visit
from webapp.lab.report import Proof

AT_ONCE = 8
TRIES = 20
PAUSE = 0.5
NOT_THERE = 404


def read_back(host: str, port: int, visits: Sequence[Visit]) -> Proof:
    """Read every attempt, and compare with what its player was told."""
    return asyncio.run(_read_all(host, port, [visit for visit in visits if visit.token]))


async def _read_all(host: str, port: int, visits: Sequence[Visit]) -> Proof:
    found = await asyncio.gather(
        *(_read_some(host, port, visits[first::AT_ONCE]) for first in range(min(AT_ONCE, len(visits))))
    )
    sums = [sum(column) for column in zip(*found, strict=True)] if found else [0] * 5
    return Proof(*sums)


async def _read_some(host: str, port: int, visits: Sequence[Visit]) -> tuple[int, int, int, int, int]:
    answers = missing = changed = finishes = unfinished = 0
    with closing(Browser(host, port)) as browser:
        for visit in visits:
            stored = (await _patiently(browser, f"/api/v1/attempts/{visit.token}")).json()
            chosen = {question["item"]: question["chosen"] for question in stored["questions"]}
            answers += len(visit.acknowledged)
            missing += sum(not chosen.get(item) for item in visit.acknowledged)
            changed += sum(bool(chosen.get(item)) and chosen[item] != [one] for item, one in visit.acknowledged.items())
            finishes += visit.is_finished
            unfinished += visit.is_finished and stored["score"] is None
    return answers, missing, changed, finishes, unfinished


async def _patiently(browser: Browser, path: str) -> Answer:
    for _ in range(TRIES):
        answer = await browser.ask("GET", path)
        if answer.status < NOT_THERE:
            return answer
        await asyncio.sleep(PAUSE)
    raise OSError(f"{path[:40]}… cannot be read back: status {answer.status}")
