"""A fleet for which the console shows everything it can, each text with a word that is wider than a phone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flask import render_template

from poolproof.capacity.advice import Demand
from poolproof.capacity.budget import Finding, FleetSize, Level, run_checks
from tests.unit.console.test_diagnosis import FACTS, fleet, holder, lane, worker
from webapp import create_app
from webapp.console import pages
from webapp.console.console_service import ConsoleSnapshot
from webapp.console.diagnosis import diagnose
from webapp.console.fleet_view import FleetView, ServerView
from webapp.console.history import Minute
from webapp.lab.factories import make_settings

WORD = "unbreakable_" * 25
PLACE = f"webapp/{WORD}/pages.py:18 in {WORD}"


def crowded() -> FleetView:
    """Return a view with holders, waiters, slow statements, events, failed checks and a server that is unavailable."""
    process = worker(
        1, lanes=[lane(waiting=5, oldest=1.2, is_paused=True, is_slow=True)], rejected=10**9, queued=9,
        silent_for=9.0, stuck_for=3.0, rows=[[1, 3, 5, 1.2, 7]] * 3,
    )  # fmt: skip
    held = holder(
        process, name=f"GET {WORD}", statement=f"SELECT {WORD}", running=4.0, place=PLACE, stack=[PLACE, PLACE],
        now_at=f"{PLACE} > {PLACE}", violations=["idle-held", "nested"],
        on_server={"command": "Query", "state": f"Waiting for {WORD}", "seconds": 4},
    )  # fmt: skip
    slow_statements = [{"seconds": 10.0**9, "count": 10**12, "longest": 3.0, "statement": f"SELECT {WORD}"}]
    status = dict.fromkeys(("Threads_connected", "Aborted_clients", "Slow_queries"), 10**18)
    server = ServerView(
        FACTS,
        status,
        slow_statements=slow_statements,
        polled_at=1.0,
        error=f"Can't connect to {WORD}",
        connections_refused_last_hour=3,
    )
    events = [
        {"kind": kind, "place": place, "at": float(number), "by": f"{WORD} 1", "sentence": f"{number} {WORD}"}
        for number, (kind, place) in enumerate([("leak", PLACE), ("leak", PLACE), ("death", "")])
    ]
    findings = run_checks(FleetSize(2, 8), fleet().settings, replace(FACTS, max_connections=20))
    return fleet(
        processes=[process, worker(2)],
        holders=[replace(held, id=number) for number in range(8)],
        waiters=[{"seconds": 1.2, "name": f"GET {WORD}", "process": "worker 1", "lane": "interactive"}] * 3,
        counters={"commits": {WORD: {"batches": [3] * 10, "entries": 90}}},
        server=server,
        findings=[*findings, Finding(WORD, Level.WARN, f"It is {WORD}.", f"Set it to {WORD}.")],
        events=events,
    )


def live_parts(folder: Path) -> str:
    """Return what the page fetches at each refresh, of such a fleet."""
    view, demand = crowded(), Demand(rate=40, busy=3.2)
    now = datetime.now(UTC)
    past = [Minute(WORD, now - timedelta(minutes=ago), 2, 9, 12, 3, 10**9, 10**12, 9.0, 10**9) for ago in range(5)]
    snapshot = ConsoleSnapshot(view, demand, diagnose(view, demand), past, f"History is unavailable: {WORD}.")
    app = create_app(make_settings(f"sqlite:///{folder / 'crowded.sqlite'}", folder))
    with app.test_request_context("/console?part=live"):
        return render_template("console/live_parts.html", **pages._template_context(snapshot))
