"""A player of the push: opens the quiz, starts an attempt, answers each question, finishes, reads the leaderboard."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from poolproof.lab.loadgen.http_client import OK_STATUSES, HttpClient, HttpResponse, InvalidResponseError
from webapp.lab.loadgen.browser import Browser
from webapp.lab.loadgen.browser_model import BrowserModel, Ending, draw_traits

OPEN, FILES, START, ANSWER, FINISH, LEADERBOARD = "open", "files", "start", "answer", "finish", "leaderboard"
STEPS = (OPEN, START, ANSWER, FINISH, LEADERBOARD)
BROWSER_STEPS = (OPEN, FILES, START, ANSWER, FINISH, LEADERBOARD)
MAX_ATTEMPTS, MAX_BROWSER_ATTEMPTS = 12, 100
"""The page's script tries for ever; a push ends."""
INITIAL_BACKOFF, MAX_BACKOFF = 0.2, 5.0
"""Seconds; where the server sends no Retry-After, the backoff is doubled after every try, with full jitter."""
BROWSER_CONNECTIONS = 4
"""Of one user's browser: the page's, the speculative one, a spare one, and one for the third file."""
PAGE_INITIAL_BACKOFF, PAGE_MAX_BACKOFF, PAGE_MAX_RETRY_AFTER = 1.0, 30.0, 600.0
"""Seconds; those of the page's script, `backoff.js`, whose jitter is added to Retry-After."""
RETRY_STATUSES = {429, 503}
OK_RESULTS = {str(status) for status in OK_STATUSES}
CUT_OFF = "cut off"
"""The result of a try that was still under way when the push ended."""
MAX_MESSAGE_LENGTH = 300
MIN_CHOICES = 2
"""That every question has."""


@dataclass(frozen=True)
class PushPlan:
    """Which quiz of which service is played, and when; seconds, moments on the machine's monotonic clock."""

    host: str
    port: int
    slug: str
    quiz_id: int
    items: Sequence[tuple[int, int]]
    """The item of each question that all players get, and how many choices it has."""
    starts_at: float
    ramp: float
    think_time: float
    retry: bool
    ends_at: float = math.inf
    """Visits that are still under way then are cut off."""
    browsers: BrowserModel | None = None
    """Users behave as browsers do; None: each has one connection and uses it at once."""


def connections_per_user(browsers: BrowserModel | None) -> int:
    """Return how many connections a user may have open at the same time."""
    return 1 if browsers is None else BROWSER_CONNECTIONS


@dataclass(frozen=True)
class RequestSample:
    """One try of one step; `seconds` run from the moment at which the step was meant to begin."""

    step: str
    seconds: float
    result: str
    """The status, or the error's name."""
    is_final: bool
    """Whether no other try followed."""
    sent_at: float = 0.0
    ended_at: float = 0.0
    """When this try was sent and when it ended, in seconds since the push began."""
    message: str = ""
    """The body of the response, or the error, where it did not succeed."""


@dataclass
class Visit:
    """All that one player did."""

    number: int
    samples: list[RequestSample] = field(default_factory=list)
    token: str = ""
    acknowledged: dict[int, int] = field(default_factory=dict)
    """Item → the choice that the service acknowledged as stored."""
    is_finished: bool = False
    """Whether the service acknowledged the finish."""
    seconds: float = 0.0
    """From the intended arrival to the end."""
    ended_after: float = 0.0
    """From the push's first intended arrival to this visit's end."""
    is_complete: bool = False
    """Whether every step succeeded."""
    has_vanished: bool = False
    """Whether the user went away in the middle of an answer, as the model of browsers wanted it."""


@dataclass(frozen=True)
class _Request:
    step: str
    intended_start: float
    method: str
    path: str
    body: Any = None


class StepFailedError(Exception):
    """A step did not succeed and is not tried again."""


class VanishedError(Exception):
    """The user is gone."""


async def run_visit(
    plan: PushPlan, number: int, total: int, left_open: list[HttpClient | Browser] | None = None
) -> Visit:
    """Play one visit, from its intended arrival on.

    Clients that vanish and leave their connections open are put into `left_open`, for the caller to close at the end
    of the push; without it, they hang up.
    """
    visit = Visit(number)
    arrival = plan.starts_at + plan.ramp * number / total
    client = _new_client(plan, number)
    try:
        await asyncio.sleep(max(0.0, arrival - time.monotonic()))
        await _run_steps(plan, visit, client, arrival)
        visit.is_complete = True
    except VanishedError:
        visit.has_vanished = True
    except (StepFailedError, asyncio.CancelledError):
        # The samples up to the failure are the result, also of a visit that is cut off.
        pass
    finally:
        if left_open is not None and _ending(client) is Ending.SILENT and visit.has_vanished:
            left_open.append(client)
        else:
            client.close()
        now = time.monotonic()
        visit.seconds, visit.ended_after = now - arrival, now - plan.starts_at
    return visit


def _new_client(plan: PushPlan, number: int) -> HttpClient | Browser:
    if plan.browsers is None:
        return HttpClient(plan.host, plan.port)
    return Browser(plan.host, plan.port, draw_traits(plan.browsers, number))


def _ending(client: HttpClient | Browser) -> Ending:
    return client.ending if isinstance(client, Browser) else Ending.PLAYED


async def _run_steps(plan: PushPlan, visit: Visit, client: HttpClient | Browser, arrival: float) -> None:
    async def run_step(step: str, intended_start: float, method: str, path: str, body: Any = None) -> HttpResponse:
        return await _run_step(plan, visit, client, _Request(step, intended_start, method, path, body))

    opened = await run_step(OPEN, arrival, "GET", f"/quizzes/{plan.slug}")
    if isinstance(client, Browser):
        await _load_files(plan, visit, client, opened)
    name = {"name": f"Visitor {visit.number}"}
    started = await run_step(START, time.monotonic(), "POST", f"/api/v1/quizzes/{plan.quiz_id}/attempts", name)
    visit.token = started.json()["token"]
    attempt = f"/api/v1/attempts/{visit.token}"
    rng = random.Random(visit.number)
    items = _items_of(plan, started.json())
    vanishing = None if _ending(client) is Ending.PLAYED else visit.number % len(items)
    for position, (item, choices) in enumerate(items):
        intended_start = time.monotonic() + plan.think_time
        await asyncio.sleep(plan.think_time)
        choice = rng.randrange(choices)
        if position == vanishing and isinstance(client, Browser):
            await client.vanish("PUT", f"{attempt}/answers/{item}", {"choices": [choice]})
            raise VanishedError
        await run_step(ANSWER, intended_start, "PUT", f"{attempt}/answers/{item}", {"choices": [choice]})
        visit.acknowledged[item] = choice
    await run_step(FINISH, time.monotonic(), "POST", f"{attempt}/finish")
    visit.is_finished = True
    await run_step(LEADERBOARD, time.monotonic(), "GET", f"/api/v1/quizzes/{plan.quiz_id}/leaderboard")


def _items_of(plan: PushPlan, started: Any) -> Sequence[tuple[int, int]]:
    """Return the items of an attempt; of one that was drawn for it the lab knows that it has two choices."""
    known = dict(plan.items)
    return [(item, known.get(item, MIN_CHOICES)) for item in started.get("items") or known]


async def _load_files(plan: PushPlan, visit: Visit, client: Browser, page: HttpResponse) -> None:
    """Load the files of the page; one that fails is recorded, and no browser asks for it again."""
    for loaded in await client.load_files(page):
        sent_at, ended_at = loaded.wanted_at - plan.starts_at, loaded.ended_at - plan.starts_at
        visit.samples.append(
            RequestSample(
                FILES,
                loaded.ended_at - loaded.wanted_at,
                loaded.result,
                is_final=True,
                sent_at=sent_at,
                ended_at=ended_at,
            )
        )


async def _run_step(plan: PushPlan, visit: Visit, client: HttpClient | Browser, request: _Request) -> HttpResponse:
    """Try until the step succeeds; overload and lost connections are retried, as the page's own script does."""
    attempts = MAX_ATTEMPTS if plan.browsers is None else MAX_BROWSER_ATTEMPTS
    for attempt in range(attempts if plan.retry else 1):
        sent_at = time.monotonic() - plan.starts_at
        try:
            response, result, message = await _send(client, request)
        except asyncio.CancelledError:
            visit.samples.append(_make_sample(plan, request, sent_at, CUT_OFF, is_final=True))
            raise
        succeeded = response is not None and response.status in OK_STATUSES
        may_retry = response is None or response.status in RETRY_STATUSES
        is_final = succeeded or not may_retry or attempt == attempts - 1 or not plan.retry
        visit.samples.append(_make_sample(plan, request, sent_at, result, is_final=is_final, message=message))
        if succeeded and response is not None:
            return response
        if is_final:
            break
        await asyncio.sleep(_backoff(response, attempt) if plan.browsers is None else page_backoff(response, attempt))
    raise StepFailedError


def _make_sample(
    plan: PushPlan, request: _Request, sent_at: float, result: str, *, is_final: bool, message: str = ""
) -> RequestSample:
    now = time.monotonic()
    return RequestSample(
        request.step, now - request.intended_start, result, is_final, sent_at, now - plan.starts_at, message
    )


async def _send(client: HttpClient | Browser, request: _Request) -> tuple[HttpResponse | None, str, str]:
    try:
        response = await client.request(request.method, request.path, request.body)
    except (OSError, InvalidResponseError) as error:
        if isinstance(client, HttpClient):
            client.close()
        return None, type(error).__name__, str(error)
    message = "" if response.status in OK_STATUSES else response.body.decode(errors="replace")[:MAX_MESSAGE_LENGTH]
    return response, str(response.status), message


def _backoff(response: HttpResponse | None, attempt: int) -> float:
    """Return the seconds before the next try; random, so that clients do not all come back at the same moment."""
    retry_after = response.headers.get("retry-after", "") if response is not None else ""
    if retry_after.isdecimal():
        return min(float(retry_after), MAX_BACKOFF) * random.uniform(1.0, 1.5)
    return random.uniform(0, min(MAX_BACKOFF, INITIAL_BACKOFF * 2.0**attempt))


def page_backoff(response: HttpResponse | None, attempt: int) -> float:
    """Return the seconds before the next try of the page's script: jitter on top of Retry-After."""
    retry_after = response.headers.get("retry-after", "") if response is not None else ""
    wanted = min(float(retry_after), PAGE_MAX_RETRY_AFTER) if retry_after.isdecimal() else 0.0
    return wanted + random.uniform(0, min(PAGE_MAX_BACKOFF, PAGE_INITIAL_BACKOFF * 2.0**attempt))
