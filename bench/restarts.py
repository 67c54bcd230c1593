"""Measures what a restart costs two hundred clients: HUP, TERM to one worker, TERM to the master.

    PYTHONPATH=. .venv/test/bin/python bench/restarts.py [--clients 200] [--seconds 10] [--only hup,worker] [--check]

The clients answer one after the other on kept connections, with a pause between. In the middle the signal is sent.
After HUP, and TERM to one worker, no request may fail, and none may wait more than a second longer than the longest
wait of a run without a signal; a connection that was closed between two requests is opened again, as browsers do.
After TERM to the master every request that was sent before has to be answered. With --check the script exits 1 where
that does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench import file_limits
from poolproof.lab.loadgen.http_client import OK_STATUSES, InvalidResponseError
from webapp.lab.loadgen.browser import Browser
from webapp.lab.loadgen.browser_model import BrowserTraits, Ending
from webapp.lab.loadgen.load_generator import allow_open_files
from webapp.lab.push.quiz_discovery import find_open_quiz
from webapp.lab.services.database_server import new_server
from webapp.lab.services.poolproof_service import PoolproofService, run_poolproof_service
from webapp.lab.services.processes import HOST

THINK_TIME = 0.5
"""Seconds between an acknowledged answer and the client's next one."""
MAX_EXTRA_WAIT = 1.0
NO_SIGNAL, HUP, WORKER, MASTER = "nothing", "hup", "worker", "master"
TRAITS = BrowserTraits(0.0, has_cached_files=True, has_spare_connection=False, ending=Ending.PLAYED, line=None)


@dataclass
class ClientRecord:
    """What the clients saw: the seconds of each answer, and what failed."""

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    late_requests: int = 0
    """Requests that were sent to a service that had been told to end, and not answered."""
    signalled_at: float = math.inf
    """When the service was told to end, as a moment on the monotonic clock."""

    @property
    def longest(self) -> float:
        """The longest wait."""
        return max(self.seconds, default=0.0)


@dataclass(frozen=True)
class _Plan:
    """What the clients play, and until when (a moment on the monotonic clock)."""

    port: int
    quiz_id: int
    items: Sequence[int]
    ends_at: float


def main() -> None:
    """Measure, print, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10.0, help="that each run takes")
    parser.add_argument("--only", default=f"{HUP},{WORKER},{MASTER}", help="which, separated by commas")
    parser.add_argument("--database", choices=("mysql", "sqlite"), default="mysql")
    parser.add_argument("--check", action="store_true", help="exit 1 where a request failed or waited too long")
    file_limits.add_options(parser)
    options = parser.parse_args()
    allow_open_files(options.clients * 3)
    with tempfile.TemporaryDirectory() as folder, _service(Path(folder), options) as service:
        usual = _run(service, NO_SIGNAL, options)
        print(_line(NO_SIGNAL, usual), flush=True)
        bad = []
        for kind in options.only.split(","):
            outcome = _run(service, kind, options)
            print(_line(kind, outcome), flush=True)
            if outcome.failures or (kind != MASTER and outcome.longest > usual.longest + MAX_EXTRA_WAIT):
                bad.append(kind)
    if options.check and bad:
        sys.exit(f"beyond the bounds: {', '.join(bad)}")


@contextmanager
def _service(folder: Path, options: argparse.Namespace) -> Iterator[PoolproofService]:
    command = file_limits.limited(file_limits.SERVE, options.soft_files, options.hard_files)
    server = None
    url = f"sqlite:///{folder}/restarts.db"
    if options.database == "mysql":
        server = new_server("mysql", folder / "server")
        server.create_database("restarts")
        url = server.url("restarts")
    with run_poolproof_service(url, folder / "instance", Path.cwd(), command) as service:
        yield service
    if server is not None:
        server.stop()


def _run(service: PoolproofService, kind: str, options: argparse.Namespace) -> ClientRecord:
    """Let the clients play, and send the signal in the middle."""
    outcome = ClientRecord()
    timer = threading.Timer(options.seconds / 2, _send_signal, (service, kind, outcome))
    timer.start()
    asyncio.run(_play_all(service.port, options.clients, options.seconds, outcome))
    timer.join()
    return outcome


def _send_signal(service: PoolproofService, kind: str, outcome: ClientRecord) -> None:
    if kind == HUP:
        service.reload()
    elif kind == WORKER:
        os.kill(service.workers()[0], signal.SIGTERM)
    elif kind == MASTER:
        outcome.signalled_at = time.monotonic()
        service.process.terminate()


async def _play_all(port: int, clients: int, seconds: float, outcome: ClientRecord) -> None:
    _, quiz_id, items = find_open_quiz(HOST, port, None)
    plan = _Plan(port, quiz_id, [item for item, _ in items], time.monotonic() + seconds)
    await asyncio.gather(*(_play_one(plan, THINK_TIME * number / clients, outcome) for number in range(clients)))


async def _play_one(plan: _Plan, delay: float, outcome: ClientRecord) -> None:
    await asyncio.sleep(delay)
    browser = Browser(HOST, plan.port, TRAITS)
    sent_at = time.monotonic()
    try:
        started = await browser.request("POST", f"/api/v1/quizzes/{plan.quiz_id}/attempts", {"name": "Grace"})
        path = f"/api/v1/attempts/{started.json()['token']}/answers"
        number = 0
        while time.monotonic() < plan.ends_at:
            number += 1
            sent_at = time.monotonic()
            response = await browser.request("PUT", f"{path}/{plan.items[number % len(plan.items)]}", {"choices": [0]})
            outcome.seconds.append(time.monotonic() - sent_at)
            if response.status not in OK_STATUSES:
                outcome.failures.append(str(response.status))
            await asyncio.sleep(THINK_TIME)
    except (OSError, InvalidResponseError) as error:
        if sent_at > outcome.signalled_at:
            outcome.late_requests += 1
        else:
            outcome.failures.append(f"{type(error).__name__}: {error}")
    finally:
        with suppress(OSError):
            browser.close()


def _line(kind: str, outcome: ClientRecord) -> str:
    failures = ", ".join(sorted(set(outcome.failures))) or "none"
    ordered = sorted(outcome.seconds) or [0.0]
    return (
        f"{kind:<10} {len(outcome.seconds):>6} answers, median {ordered[len(ordered) // 2]:.3f} s, longest "
        f"{outcome.longest:.3f} s, failed {len(outcome.failures)} ({failures}), too late {outcome.late_requests}"
    )


if __name__ == "__main__":
    main()
