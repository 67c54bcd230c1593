"""What is wrong with the fleet, why, and what to do, in sentences. Pure.

The worst comes first. Each has the numbers that were measured; a warning also has a remedy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from poolproof.capacity import advice
from poolproof.capacity.advice import Demand, SizeRecommendation
from poolproof.capacity.budget import Finding, Level
from webapp.console.checkout_diagnosis import RECENT_WINDOW, diagnose_checkouts, process_name
from webapp.console.fleet_view import FleetView
from webapp.console.format_duration import format_duration
from webapp.console.pool_sentences import demand_sentence
from webapp.console.severity import Diagnosis, Severity
from webapp.messages import join_messages, message

HOUR = 3600.0
COMMIT_BACKLOG_THRESHOLD = 200
"""Answers that wait for their commit."""


SEVERITY_OF_LEVEL = {Level.OK: Severity.OK, Level.WARN: Severity.WARNING, Level.FAIL: Severity.CRITICAL}


def diagnose(view: FleetView, demand: Demand, recommendation: SizeRecommendation | None = None) -> list[Diagnosis]:
    """Return all diagnoses of the fleet, the worst first; `recommendation` is the lab's latest one."""
    diagnoses = [
        *_diagnose_server(view),
        *_diagnose_silence(view),
        *_diagnose_crashes(view),
        *_diagnose_worker_count(view),
        *diagnose_checkouts(view),
        *_diagnose_commits(view),
        *_diagnose_overrides(view),
        *_diagnose_failed_checks(view),
        _diagnose_connections(view, demand),
        *_diagnose_size(view, demand, recommendation),
    ]
    return sorted(diagnoses, key=lambda diagnosis: -diagnosis.severity)


def _diagnose_server(view: FleetView) -> Iterator[Diagnosis]:
    server = view.server
    if server.error is not None:
        yield Diagnosis(
            Severity.CRITICAL,
            message(
                "The database has not responded for %(time)s: %(error)s.",
                time=format_duration(view.at - server.error_since),
                error=server.error,
            ),
            message(
                "Check whether the server runs and can be reached. Open quizzes are served meanwhile, answers wait in "
                "the players' browsers; everything resumes automatically when it is back."
            ),
            "server",
        )
    elif server.facts is None:
        yield Diagnosis(Severity.OK, message("The server has not been polled yet."), part="server")
    if server.connections_refused_last_hour:
        yield Diagnosis(
            Severity.CRITICAL,
            message(
                "The server has refused %(count)s connections in the last hour: Too many connections.",
                count=server.connections_refused_last_hour,
            ),
            message(
                "Check the budget: who else connects? Then raise max_connections, or use fewer workers or a smaller "
                "pool. See docs/too-many-connections.md."
            ),
            "budget",
        )
    # Connections that an operator has ended from the console are explained.
    ended = sum(event["kind"] == "ended" for event in view.events if view.at - event["at"] < HOUR)
    if (lost := server.clients_lost_last_hour - ended) > 0:
        yield Diagnosis(
            Severity.WARNING if server.clients_lost_recently > ended else Severity.OK,
            message("The server has lost a client in the last hour without closing the connection.")
            if lost == 1
            else message(
                "The server has lost %(count)s clients in the last hour without closing the connection.", count=lost
            ),
            message(
                "A process was killed, or something between here and the server cuts idle connections: set "
                "POOL_KEEPALIVE_INTERVAL below its time-out. See docs/lost-connection.md."
            ),
            "server",
        )


def _diagnose_silence(view: FleetView) -> Iterator[Diagnosis]:
    for process in view.processes:
        if process.is_silent:
            yield Diagnosis(
                Severity.CRITICAL,
                message(
                    "%(name)s (process %(pid)s) has sent no heartbeat for %(time)s.",
                    name=process_name(process),
                    pid=process.pid,
                    time=format_duration(process.silent_for),
                ),
                message(
                    "It is frozen or starved of the processor; if it lasts, kill it: the master starts another one."
                ),
                "workers",
            )


def _diagnose_crashes(view: FleetView) -> Iterator[Diagnosis]:
    for crash in view.crashed:
        ago = view.at - crash["found_at"]
        if ago < RECENT_WINDOW:
            yield Diagnosis(
                Severity.WARNING,
                message(
                    "%(name)s %(number)s exited without deregistering %(time)s ago: it was killed.",
                    name=str(crash["name"]).capitalize(),
                    number=crash["number"] or crash["pid"],
                    time=format_duration(ago),
                ),
                message("Check for the out-of-memory killer (journalctl -k), or for what sent SIGKILL."),
                "events",
            )


def _diagnose_worker_count(view: FleetView) -> Iterator[Diagnosis]:
    expected, running = view.need.fleet.workers, len(view.workers)
    if running > expected:
        text = message(
            "%(running)s workers are running where %(expected)s are set: a reload is under way.",
            running=running,
            expected=expected,
        )
        yield Diagnosis(Severity.OK, text, part="workers")
    elif running < expected:
        yield Diagnosis(
            Severity.WARNING,
            message("1 worker is running where %(expected)s are set.", expected=expected)
            if running == 1
            else message(
                "%(running)s workers are running where %(expected)s are set.", running=running, expected=expected
            ),
            message("One is starting, or cannot: check the log of the master."),
            "workers",
        )


def _diagnose_commits(view: FleetView) -> Iterator[Diagnosis]:
    if view.commits_waiting > COMMIT_BACKLOG_THRESHOLD:
        yield Diagnosis(
            Severity.WARNING,
            message("%(count)s answers are waiting to be committed.", count=view.commits_waiting),
            message(
                "The database is slower than the players. Players wait, no answer is lost; check the server's disk and "
                "what else it does."
            ),
            "commits",
        )


def _diagnose_overrides(view: FleetView) -> Iterator[Diagnosis]:
    for lane in view.overrides.get("paused", ()):
        text = message("The %(lane)s lane is paused by an operator: its work waits.", lane=lane)
        yield Diagnosis(Severity.WARNING, text, message("Resume it when the reason is gone."), "workers")
    for lane, size in view.overrides.get("sizes", {}).items():
        text = message(
            "An operator has set the %(lane)s lane of each worker to %(size)s connections.", lane=lane, size=size
        )
        variable = "POOL_SIZE" if lane == "interactive" else "POOL_BACKGROUND_SIZE"
        remedy = message("It lasts until the service restarts: set %(variable)s to keep it.", variable=variable)
        yield Diagnosis(Severity.WARNING, text, remedy, "size")


def _diagnose_failed_checks(view: FleetView) -> Iterator[Diagnosis]:
    for finding in view.findings:
        if finding.level is Level.FAIL:
            yield Diagnosis(Severity.CRITICAL, f"{finding.check}: {finding.sentence}", finding.remedy, "doctor")


def _diagnose_connections(view: FleetView, demand: Demand) -> Diagnosis:
    budget = view.need.workers_total + view.need.background_total
    peak = (
        message(", at most %(count)s in the last hour", count=demand.open_most) if demand.open_most is not None else ""
    )
    text = message(
        "Connections: %(used)s in use, %(open)s open of %(budget)s%(peak)s.",
        used=view.used,
        open=view.open,
        budget=budget,
        peak=peak,
    )
    facts, connected = view.server.facts, view.server.status.get("Threads_connected", 0)
    if facts is not None and view.server.error is None:
        finding = advice.check_server_usage(connected, facts.max_connections)
        if finding is not None:
            return Diagnosis(Severity.CRITICAL, join_messages(text, finding.sentence), finding.remedy, "budget")
    return Diagnosis(Severity.OK, text, part="budget")


def _diagnose_size(view: FleetView, demand: Demand, recommendation: SizeRecommendation | None) -> Iterator[Diagnosis]:
    finding = advice.check_demand(demand, view.interactive_total)
    sentence = demand_sentence(demand, view.interactive_total, finding.sentence)
    yield _from_finding(replace(finding, sentence=sentence))
    if recommendation is not None:
        workers = max(1, len(view.workers))
        yield _from_finding(advice.check_recommendation(recommendation, demand, view.interactive_total, workers))


def _from_finding(finding: Finding) -> Diagnosis:
    return Diagnosis(SEVERITY_OF_LEVEL[finding.level], finding.sentence, finding.remedy, finding.check)
