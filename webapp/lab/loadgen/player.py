"""The push: many people open one quiz within a second, answer it, finish it, and look at the board."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from webapp.lab.loadgen.http_client import HttpClient, HttpResponse, InvalidResponseError

OPEN, START, ANSWER, FINISH, LEADERBOARD = "open", "start", "answer", "finish", "board"
STEPS = (OPEN, START, ANSWER, FINISH, LEADERBOARD)
MAX_ATTEMPTS = 12
INITIAL_BACKOFF, MAX_BACKOFF = 0.2, 5.0
"""Seconds; where the server names no time, the pause is doubled after every try, with full jitter."""
RETRY_STATUSES = {429, 503}
OK_STATUSES = {200, 201}
CUT_OFF = "cut off"
"""How a try has ended that was still under way when the push was."""
MAX_MESSAGE_LENGTH = 300


@dataclass(frozen=True)
class PushPlan:
    """What is to be pushed at whom; times are seconds, `starts_at` on the machine's monotonic clock."""

    host: str
    port: int
    slug: str
    quiz_id: int
    items: Sequence[tuple[int, int]]
    """Each question's item, and how many choices it has."""
    starts_at: float
    ramp: float
    think_time: float
    retry: bool
    ends_at: float = math.inf
    """Whoever is not through by then is cut off."""


@dataclass(frozen=True)
class RequestSample:
    """One try of one step: when it was meant to begin, how long it took from then, and how it ended."""

    step: str
    seconds: float
    result: str
    """The status, or the error's name."""
    is_final: bool
    """No other try followed."""
    sent_at: float = 0.0
    ended_at: float = 0.0
    """When this try was sent and when it had ended, in seconds since the push began."""
    message: str = ""
    """What was said where it did not end well."""


@dataclass
class Visit:
    """One person's whole visit."""

    number: int
    samples: list[RequestSample] = field(default_factory=list)
    token: str = ""
    acknowledged: dict[int, int] = field(default_factory=dict)
    """Item → the choice whose storing was acknowledged."""
    is_finished: bool = False
    """Whether the finish was acknowledged."""
    seconds: float = 0.0
    """From the intended arrival to the end."""
    ended_after: float = 0.0
    """From the push's first intended arrival to this visit's end."""
    is_complete: bool = False
    """Whether every step ended well."""


@dataclass(frozen=True)
class _Request:
    step: str
    intended_start: float
    method: str
    path: str
    body: Any = None


class StepFailedError(Exception):
    """A step did not end well, and is not tried again."""


async def run_visit(plan: PushPlan, number: int, total: int) -> Visit:
    """Be one person, from the intended arrival on."""
    one = Visit(number)
    arrival = plan.starts_at + plan.ramp * number / total
    browser = HttpClient(plan.host, plan.port)
    try:
        await asyncio.sleep(max(0.0, arrival - time.monotonic()))
        await _run_steps(plan, one, browser, arrival)
        one.is_complete = True
    except (StepFailedError, asyncio.CancelledError):
        # Also one that is cut off has something to tell.
        pass
    finally:
        browser.close()
        now = time.monotonic()
        one.seconds, one.ended_after = now - arrival, now - plan.starts_at
    return one


async def _run_steps(plan: PushPlan, visit: Visit, client: HttpClient, arrival: float) -> None:
    async def take(step: str, meant: float, method: str, path: str, body: Any = None) -> HttpResponse:
        return await _run_step(plan, visit, client, _Request(step, meant, method, path, body))

    await take(OPEN, arrival, "GET", f"/quizzes/{plan.slug}")
    name = {"name": f"Visitor {visit.number}"}
    started = await take(START, time.monotonic(), "POST", f"/api/v1/quizzes/{plan.quiz_id}/attempts", name)
    visit.token = started.json()["token"]
    attempt = f"/api/v1/attempts/{visit.token}"
    choose = random.Random(visit.number)
    for item, choices in plan.items:
        meant = time.monotonic() + plan.think_time
        await asyncio.sleep(plan.think_time)
        choice = choose.randrange(choices)
        await take(ANSWER, meant, "PUT", f"{attempt}/answers/{item}", {"choices": [choice]})
        visit.acknowledged[item] = choice
    await take(FINISH, time.monotonic(), "POST", f"{attempt}/finish")
    visit.is_finished = True
    await take(LEADERBOARD, time.monotonic(), "GET", f"/api/v1/quizzes/{plan.quiz_id}/leaderboard")


async def _run_step(plan: PushPlan, visit: Visit, client: HttpClient, request: _Request) -> HttpResponse:
    """Try until it ends well; what may be repeated is, as the page's own script does."""
    for tried in range(MAX_ATTEMPTS if plan.retry else 1):
        began = time.monotonic() - plan.starts_at
        try:
            answer, ended, words = await _send(client, request)
        except asyncio.CancelledError:
            visit.samples.append(_make_sample(plan, request, began, CUT_OFF, is_final=True))
            raise
        well = answer is not None and answer.status in OK_STATUSES
        hopeless = answer is not None and not well and answer.status not in RETRY_STATUSES
        is_final = well or hopeless or tried == MAX_ATTEMPTS - 1 or not plan.retry
        visit.samples.append(_make_sample(plan, request, began, ended, is_final=is_final, message=words))
        if well and answer is not None:
            return answer
        if is_final:
            break
        await asyncio.sleep(_backoff(answer, tried))
    raise StepFailedError


def _make_sample(
    plan: PushPlan, request: _Request, sent_at: float, result: str, *, is_final: bool, message: str = ""
) -> RequestSample:
    now = time.monotonic()
    return RequestSample(
        request.step, now - request.intended_start, result, is_final, sent_at, now - plan.starts_at, message
    )


async def _send(client: HttpClient, request: _Request) -> tuple[HttpResponse | None, str, str]:
    try:
        answer = await client.request(request.method, request.path, request.body)
    except (OSError, InvalidResponseError) as error:
        client.close()
        return None, type(error).__name__, str(error)
    words = "" if answer.status in OK_STATUSES else answer.body.decode(errors="replace")[:MAX_MESSAGE_LENGTH]
    return answer, str(answer.status), words


def _backoff(response: HttpResponse | None, attempt: int) -> float:
    """Return how long to wait before the next try, never the same for all."""
    named = response.headers.get("retry-after", "") if response is not None else ""
    if named.isdecimal():
        return min(float(named), MAX_BACKOFF) * random.uniform(1.0, 1.5)
    return random.uniform(0, min(MAX_BACKOFF, INITIAL_BACKOFF * 2.0**attempt))
