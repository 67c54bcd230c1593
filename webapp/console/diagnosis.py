"""What is wrong with the fleet, why, and what to do, in sentences. Pure.

The worst comes first. Each has the numbers that were measured; a warning also has a remedy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from poolproof.capacity import advice
from poolproof.capacity.advice import Demand, SizeRecommendation
from poolproof.capacity.budget import Finding, Level
from poolproof.leaks.leak_detector import REMEDIES, Violation
from webapp.console.fleet_view import FleetView, HolderView, ProcessView
from webapp.console.format_duration import format_duration

STUCK_THRESHOLD = 1.0
"""Seconds without a free thread, or of a request's wait for a connection, that are critical."""
LONG_HOLD_THRESHOLD = 5.0
"""Seconds of a wrong checkout that are critical."""
HOUR = 3600.0
RECENT_WINDOW = 120.0
MAX_NAMED_SITES = 5
"""Places of wrong checkouts that are named one by one."""
COMMIT_BACKLOG_THRESHOLD = 200
"""Answers that wait for their commit."""


class Severity(IntEnum):
    """How bad a diagnosis is; the highest is the page's."""

    OK = 0
    WARNING = 1
    CRITICAL = 2

    @property
    def label(self) -> str:
        """The word that is shown beside the colour."""
        return ("OK", "Warning", "Critical")[self]


SEVERITY_OF_LEVEL = {Level.OK: Severity.OK, Level.WARN: Severity.WARNING, Level.FAIL: Severity.CRITICAL}
VIOLATION_TEXTS = {
    Violation.IDLE_HELD: "idle while checked out: a leak?",
    Violation.LONG_STATEMENT: "one long statement.",
    Violation.NESTED: "nested checkout.",
    Violation.ORPHANED: "its request is over.",
    Violation.LEAKED: "leaked: its owner is gone.",
}


@dataclass(frozen=True)
class Diagnosis:
    """One thing an operator should know."""

    severity: Severity
    text: str
    remedy: str = ""
    part: str = ""
    """The part of the page that shows more."""


def worst_severity(diagnoses: Sequence[Diagnosis]) -> Severity:
    """Return the worst severity."""
    return max((diagnosis.severity for diagnosis in diagnoses), default=Severity.OK)


def diagnose(view: FleetView, demand: Demand, recommendation: SizeRecommendation | None = None) -> list[Diagnosis]:
    """Return all diagnoses of the fleet, the worst first; `recommendation` is the lab's latest one."""
    diagnoses = [
        *_diagnose_server(view),
        *_diagnose_silence(view),
        *_diagnose_crashes(view),
        *_diagnose_worker_count(view),
        *_diagnose_threads(view),
        *_diagnose_waiting(view),
        *_diagnose_rejections(view),
        *_diagnose_checkouts(view),
        *_diagnose_lost_connections(view),
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
            f"The database has not responded for {format_duration(view.at - server.error_since)}: {server.error}.",
            "Check whether the server runs and can be reached. Open quizzes are served meanwhile, answers wait in the "
            "players' browsers; everything resumes automatically when it is back.",
            "server",
        )
    elif server.facts is None:
        yield Diagnosis(Severity.OK, "The server has not been polled yet.", part="server")
    if server.connections_refused_last_hour:
        yield Diagnosis(
            Severity.CRITICAL,
            f"The server has refused {server.connections_refused_last_hour} connections in the last hour: "
            "Too many connections.",
            "Check the budget: who else connects? Then raise max_connections, or use fewer workers or a smaller "
            "pool. See docs/too-many-connections.md.",
            "budget",
        )
    # Connections that an operator has ended from the console are explained.
    ended = sum(event["kind"] == "ended" for event in view.events if view.at - event["at"] < HOUR)
    if (lost := server.clients_lost_last_hour - ended) > 0:
        yield Diagnosis(
            Severity.WARNING if server.clients_lost_recently > ended else Severity.OK,
            f"The server has lost {_count(lost, 'client')} in the last hour without closing the connection.",
            "A process was killed, or something between here and the server cuts idle connections: set "
            "POOL_KEEPALIVE_INTERVAL below its time-out. See docs/lost-connection.md.",
            "server",
        )


def _diagnose_silence(view: FleetView) -> Iterator[Diagnosis]:
    for process in view.processes:
        if process.is_silent:
            yield Diagnosis(
                Severity.CRITICAL,
                f"{_name(process)} (process {process.pid}) has sent no heartbeat for "
                f"{format_duration(process.silent_for)}.",
                "It is frozen or starved of the processor; if it lasts, kill it: the master starts another one.",
                "workers",
            )


def _diagnose_crashes(view: FleetView) -> Iterator[Diagnosis]:
    for crash in view.crashed:
        ago = view.at - crash["found_at"]
        if ago < RECENT_WINDOW:
            yield Diagnosis(
                Severity.WARNING,
                f"{str(crash['name']).capitalize()} {crash['number'] or crash['pid']} exited without deregistering "
                f"{format_duration(ago)} ago: it was killed.",
                "Check for the out-of-memory killer (journalctl -k), or for what sent SIGKILL.",
                "events",
            )


def _diagnose_worker_count(view: FleetView) -> Iterator[Diagnosis]:
    expected, running = view.need.fleet.workers, len(view.workers)
    if running > expected:
        text = f"{running} workers are running where {expected} are set: a reload is under way."
        yield Diagnosis(Severity.OK, text, part="workers")
    elif running < expected:
        yield Diagnosis(
            Severity.WARNING,
            f"{_count(running, 'worker')} {'is' if running == 1 else 'are'} running where {expected} are set.",
            "One is starting, or cannot: check the log of the master.",
            "workers",
        )


def _diagnose_threads(view: FleetView) -> Iterator[Diagnosis]:
    for process in view.processes:
        if process.stuck_for > STUCK_THRESHOLD:
            yield Diagnosis(
                Severity.CRITICAL,
                f"{_name(process)}: no thread has been free for {format_duration(process.stuck_for)}, and "
                f"{_waiting_requests(process.queued)} for one.",
                f"All of them are busy with something that takes long{_most_common_site(view, process.key)}. See the "
                "checked-out connections, and what the server reports of those.",
                "holders",
            )


def _diagnose_waiting(view: FleetView) -> Iterator[Diagnosis]:
    for process in view.processes:
        if process.waiting:
            is_critical = process.oldest > STUCK_THRESHOLD or process.waiting > 2 * view.need.interactive
            yield Diagnosis(
                Severity.CRITICAL if is_critical else Severity.WARNING,
                f"{_name(process)}: {_waiting_requests(process.waiting)} for a connection, the first for "
                f"{format_duration(process.oldest)}.",
                f"See the checked-out connections{_most_common_site(view, process.key)}. "
                "See docs/queuepool-limit-reached.md.",
                "holders",
            )


def _diagnose_rejections(view: FleetView) -> Iterator[Diagnosis]:
    if rejected := sum(process.rejected for process in view.processes):
        shedding = [process.label for process in view.processes if any(lane.is_slow for lane in process.lanes)]
        where = f" ({', '.join(shedding)} still sheds load)" if shedding else ""
        yield Diagnosis(
            Severity.CRITICAL,
            f"{_count(rejected, 'request')} {'was' if rejected == 1 else 'were'} rejected with 503 in the last two "
            f"minutes{where}.",
            "More arrived than the pools could serve in time. Release connections sooner; then see “Pool size”.",
            "workers",
        )


def _diagnose_checkouts(view: FleetView) -> Iterator[Diagnosis]:
    groups: dict[tuple[str, str], list[HolderView]] = {}
    for holder in view.holders:
        if holder.violations:
            groups.setdefault((holder.violations[0], holder.place), []).append(holder)
    for (name, site), holders in list(groups.items())[:MAX_NAMED_SITES]:
        violation, longest = Violation(name), holders[0]
        request = longest.name.partition(" (request")[0]
        subject = f"{_name(longest.process)} has held a connection for"
        if len(holders) > 1:
            subject = f"{len(holders)} connections have been held for up to"
        yield Diagnosis(
            Severity.CRITICAL if longest.seconds > LONG_HOLD_THRESHOLD else Severity.WARNING,
            f"{subject} {format_duration(longest.seconds)} in {request}: {VIOLATION_TEXTS[violation]}",
            f"Checked out at {site}. {REMEDIES[violation]}",
            "holders",
        )


def _diagnose_lost_connections(view: FleetView) -> Iterator[Diagnosis]:
    recent = Counter(
        (str(event["kind"]), str(event["place"]))
        for event in view.events
        if event["kind"] in {Violation.LEAKED, Violation.ORPHANED} and view.at - event["at"] < RECENT_WINDOW
    )
    for (kind, site), count in recent.most_common(3):
        subject = f"{count} connections were" if count > 1 else "A connection was"
        text = f"{subject} {kind} at {site} in the last two minutes."
        yield Diagnosis(Severity.WARNING, text, REMEDIES[Violation(kind)], "events")


def _diagnose_commits(view: FleetView) -> Iterator[Diagnosis]:
    if view.commits_waiting > COMMIT_BACKLOG_THRESHOLD:
        yield Diagnosis(
            Severity.WARNING,
            f"{view.commits_waiting} answers are waiting to be committed.",
            "The database is slower than the players. Players wait, no answer is lost; check the server's disk and "
            "what else it does.",
            "commits",
        )


def _diagnose_overrides(view: FleetView) -> Iterator[Diagnosis]:
    for lane in view.overrides.get("paused", ()):
        text = f"The {lane} lane is paused by an operator: its work waits."
        yield Diagnosis(Severity.WARNING, text, "Resume it when the reason is gone.", "workers")
    for lane, size in view.overrides.get("sizes", {}).items():
        text = f"An operator has set the {lane} lane of each worker to {size} connections."
        variable = "POOL_SIZE" if lane == "interactive" else "POOL_BACKGROUND_SIZE"
        remedy = f"It lasts until the service restarts: set {variable} to keep it."
        yield Diagnosis(Severity.WARNING, text, remedy, "size")


def _diagnose_failed_checks(view: FleetView) -> Iterator[Diagnosis]:
    for finding in view.findings:
        if finding.level is Level.FAIL:
            yield Diagnosis(Severity.CRITICAL, f"{finding.check}: {finding.sentence}", finding.remedy, "doctor")


def _diagnose_connections(view: FleetView, demand: Demand) -> Diagnosis:
    budget = view.need.workers_total + view.need.background_total
    peak = f", at most {demand.open_most} in the last hour" if demand.open_most is not None else ""
    text = f"Connections: {view.used} in use, {view.open} open of {budget}{peak}."
    facts, connected = view.server.facts, view.server.status.get("Threads_connected", 0)
    if facts is not None and view.server.error is None:
        finding = advice.check_server_usage(connected, facts.max_connections)
        if finding is not None:
            return Diagnosis(Severity.CRITICAL, f"{text} {finding.sentence}", finding.remedy, "budget")
    return Diagnosis(Severity.OK, text, part="budget")


def _diagnose_size(view: FleetView, demand: Demand, recommendation: SizeRecommendation | None) -> Iterator[Diagnosis]:
    yield _from_finding(advice.check_demand(demand, view.interactive_total))
    if recommendation is not None:
        workers = max(1, len(view.workers))
        yield _from_finding(advice.check_recommendation(recommendation, demand, view.interactive_total, workers))


def _from_finding(finding: Finding) -> Diagnosis:
    return Diagnosis(SEVERITY_OF_LEVEL[finding.level], finding.sentence, finding.remedy, finding.check)


def _name(process: ProcessView) -> str:
    return process.label.capitalize()


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _waiting_requests(count: int) -> str:
    return f"{count} request{'s wait' if count > 1 else ' waits'}"


def _most_common_site(view: FleetView, key: str) -> str:
    sites = Counter(holder.place for holder in view.holders if holder.process.key == key)
    return f", most often {sites.most_common(1)[0][0]}" if sites else ""
