"""The push: many people open one quiz within a second, answer it, finish it, and look at the board."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from webapp.lab.browser import Answer, BrokenAnswerError, Browser

OPEN, START, ANSWER, FINISH, BOARD = "open", "start", "answer", "finish", "board"
STEPS = (OPEN, START, ANSWER, FINISH, BOARD)
TRIES = 12
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds; where the server names no time, the pause is doubled after every try, with full jitter."""
TOLD_TO_WAIT = {429, 503}
WELL = {200, 201}
CUT_OFF = "cut off"
"""How a try has ended that was still under way when the push was."""
LONGEST_WORDS = 300


@dataclass(frozen=True)
class Plan:
    """What is to be pushed at whom; times are seconds, `starts_at` on the machine's monotonic clock."""

    host: str
    port: int
    slug: str
    quiz_id: int
    items: Sequence[tuple[int, int]]
    """Each question's item, and how many choices it has."""
    starts_at: float
    within: float
    think: float
    retries: bool
    ends_at: float = math.inf
    """Whoever is not through by then is cut off."""


@dataclass(frozen=True)
class Sample:
    """One try of one step: when it was meant to begin, how long it took from then, and how it ended."""

    step: str
    seconds: float
    ended: str
    """The status, or the error's name."""
    is_final: bool
    """No other try followed."""
    began: float = 0.0
    came_back: float = 0.0
    """When this try was sent and when it had ended, in seconds since the push began."""
    words: str = ""
    """What was said where it did not end well."""


@dataclass
class Visit:
    """One person's whole visit."""

    number: int
    samples: list[Sample] = field(default_factory=list)
    token: str = ""
    acknowledged: dict[int, int] = field(default_factory=dict)
    """Item → the choice whose storing was acknowledged."""
    is_finished: bool = False
    """Whether the finish was acknowledged."""
    seconds: float = 0.0
    """From the intended arrival to the end."""
    ended_after: float = 0.0
    """From the push's first intended arrival to this visit's end."""
    is_done: bool = False
    """Whether every step ended well."""


@dataclass(frozen=True)
class _Request:
    step: str
    meant: float
    method: str
    path: str
    body: Any = None


class StepFailedError(Exception):
    """A step did not end well, and is not tried again."""


async def visit(plan: Plan, number: int, total: int) -> Visit:
    """Be one person, from the intended arrival on."""
    one = Visit(number)
    arrival = plan.starts_at + plan.within * number / total
    browser = Browser(plan.host, plan.port)
    try:
        await asyncio.sleep(max(0.0, arrival - time.monotonic()))
        await _go_through(plan, one, browser, arrival)
        one.is_done = True
    except (StepFailedError, asyncio.CancelledError):
        # Also one that is cut off has something to tell.
        pass
    finally:
        browser.close()
        now = time.monotonic()
        one.seconds, one.ended_after = now - arrival, now - plan.starts_at
    return one


async def _go_through(plan: Plan, one: Visit, browser: Browser, arrival: float) -> None:
    async def take(step: str, meant: float, method: str, path: str, body: Any = None) -> Answer:
        return await _step(plan, one, browser, _Request(step, meant, method, path, body))

    await take(OPEN, arrival, "GET", f"/quizzes/{plan.slug}")
    name = {"name": f"Visitor {one.number}"}
    started = await take(START, time.monotonic(), "POST", f"/api/v1/quizzes/{plan.quiz_id}/attempts", name)
    one.token = started.json()["token"]
    attempt = f"/api/v1/attempts/{one.token}"
    choose = random.Random(one.number)
    for item, choices in plan.items:
        meant = time.monotonic() + plan.think
        await asyncio.sleep(plan.think)
        choice = choose.randrange(choices)
        await take(ANSWER, meant, "PUT", f"{attempt}/answers/{item}", {"choices": [choice]})
        one.acknowledged[item] = choice
    await take(FINISH, time.monotonic(), "POST", f"{attempt}/finish")
    one.is_finished = True
    await take(BOARD, time.monotonic(), "GET", f"/api/v1/quizzes/{plan.quiz_id}/leaderboard")


async def _step(plan: Plan, one: Visit, browser: Browser, request: _Request) -> Answer:
    """Try until it ends well; what may be repeated is, as the page's own script does."""
    for tried in range(TRIES if plan.retries else 1):
        began = time.monotonic() - plan.starts_at
        try:
            answer, ended, words = await _try(browser, request)
        except asyncio.CancelledError:
            one.samples.append(_sample(plan, request, began, CUT_OFF, is_final=True))
            raise
        well = answer is not None and answer.status in WELL
        hopeless = answer is not None and not well and answer.status not in TOLD_TO_WAIT
        is_final = well or hopeless or tried == TRIES - 1 or not plan.retries
        one.samples.append(_sample(plan, request, began, ended, is_final=is_final, words=words))
        if well and answer is not None:
            return answer
        if is_final:
            break
        await asyncio.sleep(_pause(answer, tried))
    raise StepFailedError


def _sample(plan: Plan, request: _Request, began: float, ended: str, *, is_final: bool, words: str = "") -> Sample:
    now = time.monotonic()
    return Sample(request.step, now - request.meant, ended, is_final, began, now - plan.starts_at, words)


async def _try(browser: Browser, request: _Request) -> tuple[Answer | None, str, str]:
    try:
        answer = await browser.ask(request.method, request.path, request.body)
    except (OSError, BrokenAnswerError) as error:
        browser.close()
        return None, type(error).__name__, str(error)
    words = "" if answer.status in WELL else answer.body.decode(errors="replace")[:LONGEST_WORDS]
    return answer, str(answer.status), words


def _pause(answer: Answer | None, tried: int) -> float:
    """Return how long to wait before the next try, never the same for all."""
    named = answer.headers.get("retry-after", "") if answer is not None else ""
    if named.isdecimal():
        return min(float(named), LONGEST_PAUSE) * random.uniform(1.0, 1.5)
    return random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**tried))
