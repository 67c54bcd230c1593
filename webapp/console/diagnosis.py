"""Numbers into sentences: what is wrong with the fleet, why, and what to do. Pure.

The worst comes first. Every sentence says what was measured; one that is not well says what to do and where more is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from poolproof.capacity.budget import Level
from poolproof.leaks.leak_detector import REMEDIES, Violation
from webapp.console.demand import Demand
from webapp.console.fleet_view import SILENCE_THRESHOLD, FleetView, HolderView
from webapp.console.format_duration import format_duration
from webapp.console.lab_reports import SizeRecommendation

USAGE_WARNING_RATIO = 0.9
STUCK_THRESHOLD = 1.0
LONG_HOLD_THRESHOLD = 5.0
"""Seconds of a wait or hold that are worth an alarm."""
HOUR = 3600.0
RECENT_WINDOW = 120.0
MAX_NAMED_SITES = 5
"""Places where connections are held wrongly that are named one by one."""
IDLE_THRESHOLD = 0.05
"""Connections busy in the mean that are not worth a number."""
MISMATCH_FACTOR = 2.0
"""How many times more or fewer connections than the lab recommends are worth a look."""
COMMIT_BACKLOG_THRESHOLD = 200
"""Entries that wait for their commit."""


class Severity(IntEnum):
    """How bad a sentence is; the highest is the page's."""

    OK = 0
    WARNING = 1
    CRITICAL = 2

    @property
    def label(self) -> str:
        """The word that stands beside the colour."""
        return ("all is well", "look at this", "trouble")[self]


@dataclass(frozen=True)
class Diagnosis:
    """One thing an operator should know."""

    severity: Severity
    text: str
    remedy: str = ""
    part: str = ""
    """The part of the page that shows more."""


def worst_severity(diagnoses: Sequence[Diagnosis]) -> Severity:
    """Return the worst grade."""
    return max((one.severity for one in diagnoses), default=Severity.OK)


def diagnose(view: FleetView, demand: Demand, recommendation: SizeRecommendation | None = None) -> list[Diagnosis]:
    """Return what is to be said of the fleet, the worst first; `measured` is what the lab has recommended last."""
    found = [
        *_database(view),
        *_processes(view),
        *_waiting(view),
        *_violations(view),
        *_commits(view),
        *_overrides(view),
        *_checks(view),
        _connections(view, demand),
        _demand(view, demand),
        *_recommended(view, demand, recommendation),
    ]
    return sorted(found, key=lambda one: -one.severity)


def _database(view: FleetView) -> Iterator[Diagnosis]:
    server = view.server
    if server.error is not None:
        yield Diagnosis(
            Severity.CRITICAL,
            f"The database has not answered for {format_duration(view.at - server.error_since)}: {server.error}.",
            "Look whether the server runs and can be reached. Open quizzes are served meanwhile, answers wait in the "
            "players' browsers; everything goes on by itself when it is back.",
            "server",
        )
    elif server.facts is None:
        yield Diagnosis(Severity.OK, "The database has not been asked yet.", part="server")
    if server.connections_refused_last_hour:
        yield Diagnosis(
            Severity.CRITICAL,
            f"The server has refused {server.connections_refused_last_hour} connections in the last hour: Too many connections.",
            "Look at the budget: who else connects? Then raise max_connections, or take fewer workers or a smaller "
            "pool. See docs/too-many-connections.md.",
            "budget",
        )
    # Those that an operator has ended from here are no riddle.
    ended = sum(event["kind"] == "ended" for event in view.events if view.at - event["at"] < HOUR)
    if (lost := server.clients_lost_last_hour - ended) > 0:
        yield Diagnosis(
            Severity.WARNING if server.clients_lost_recently > ended else Severity.OK,
            f"The server has lost {lost} client{'s' if lost > 1 else ''} in the last hour without a goodbye.",
            "A process was killed, or something between here and the server cuts idle connections: set "
            "POOL_KEEPALIVE_INTERVAL below its time-out. See docs/lost-connection.md.",
            "server",
        )


def _processes(view: FleetView) -> Iterator[Diagnosis]:
    for one in view.processes:
        if one.silent_for > SILENCE_THRESHOLD:
            yield Diagnosis(
                Severity.CRITICAL,
                f"{one.label.capitalize()} (process {one.pid}) has said nothing for {format_duration(one.silent_for)}.",
                "It is frozen or starved of the processor; if it lasts, kill it: the master starts another one.",
                "workers",
            )
    for death in view.crashed:
        ago = view.at - death["found_at"]
        if ago < RECENT_WINDOW:
            yield Diagnosis(
                Severity.WARNING,
                f"{str(death['name']).capitalize()} {death['number'] or death['pid']} ended {format_duration(ago)} ago without "
                "a goodbye: it was killed.",
                "Look for the out-of-memory killer (journalctl -k), or for who sent SIGKILL.",
                "events",
            )
    expected, living = view.need.fleet.workers, len(view.workers)
    if living > expected:
        text = f"{living} workers live where {expected} are set: a reload is under way."
        yield Diagnosis(Severity.OK, text, part="workers")
    elif living < expected:
        yield Diagnosis(
            Severity.WARNING,
            f"{living} workers live where {expected} are set.",
            "One is starting, or cannot: look at the log of the master.",
            "workers",
        )


def _waiting(view: FleetView) -> Iterator[Diagnosis]:
    for one in view.processes:
        if one.stuck_for > STUCK_THRESHOLD:
            wait = f"{one.queued} request{'s wait' if one.queued > 1 else ' waits'}"
            yield Diagnosis(
                Severity.CRITICAL,
                f"{one.label.capitalize()}: no thread has been free for {format_duration(one.stuck_for)}, and {wait} for one.",
                f"All of them are busy with something that takes long{_most_common_site(view, one.key)}. See who holds "
                "connections, and what the server says of those.",
                "holders",
            )
        if one.waiting:
            requests = f"{one.waiting} request{'s wait' if one.waiting > 1 else ' waits'}"
            for_whom = _most_common_site(view, one.key)
            yield Diagnosis(
                Severity.CRITICAL if one.oldest > 1.0 or one.waiting > 2 * _pool_size(view) else Severity.WARNING,
                f"{one.label.capitalize()}: {requests} for a connection, the first for {format_duration(one.oldest)}.",
                f"See who holds them{for_whom}. See docs/queuepool-limit-reached.md.",
                "holders",
            )
    turned_away = sum(one.rejected for one in view.processes)
    if turned_away:
        slow = [one.label for one in view.processes if any(lane.is_slow for lane in one.lanes)]
        where = f" ({', '.join(slow)} still sheds load)" if slow else ""
        yield Diagnosis(
            Severity.CRITICAL,
            f"{turned_away} requests were turned away with 503 in the last two minutes{where}.",
            "More came than the pools could serve in time. Shorten what holds connections; then see “Which size?”.",
            "workers",
        )


def _most_common_site(view: FleetView, key: str) -> str:
    places = Counter(one.place for one in view.holders if one.process.key == key)
    return f", most often {places.most_common(1)[0][0]}" if places else ""


def _pool_size(view: FleetView) -> int:
    return view.need.interactive


def _violations(view: FleetView) -> Iterator[Diagnosis]:
    alike: dict[tuple[str, str], list[HolderView]] = {}
    for one in view.holders:
        if one.violations:
            alike.setdefault((one.violations[0], one.place), []).append(one)
    for (name, place), held in list(alike.items())[:MAX_NAMED_SITES]:
        kind, longest = Violation(name), held[0]
        who = longest.process.label.capitalize() + " has held a connection for"
        if len(held) > 1:
            who = f"{len(held)} connections have been held for up to"
        yield Diagnosis(
            Severity.CRITICAL if longest.seconds > LONG_HOLD_THRESHOLD else Severity.WARNING,
            f"{who} {format_duration(longest.seconds)} in {_request_name(longest)}: {_violation_text(kind)}",
            f"Borrowed at {place}. {REMEDIES[kind]}",
            "holders",
        )
    recent = Counter(
        (str(event["kind"]), str(event["place"]))
        for event in view.events
        if event["kind"] in {Violation.LEAKED, Violation.ORPHANED} and view.at - event["at"] < RECENT_WINDOW
    )
    for (kind_name, place), count in recent.most_common(3):
        times = f"{count} connections were" if count > 1 else "A connection was"
        text = f"{times} {kind_name} at {place} in the last two minutes."
        yield Diagnosis(Severity.WARNING, text, REMEDIES[Violation(kind_name)], "events")


def _violation_text(kind: Violation) -> str:
    return {
        Violation.IDLE_HELD: "held idle, a leak?",
        Violation.LONG_STATEMENT: "one long statement.",
        Violation.NESTED: "beside another one of its own.",
        Violation.ORPHANED: "its request is over.",
        Violation.LEAKED: "nobody has it any more.",
    }[kind]


def _request_name(holder: HolderView) -> str:
    return holder.name.partition(" (request")[0]


def _commits(view: FleetView) -> Iterator[Diagnosis]:
    if view.commits_waiting > COMMIT_BACKLOG_THRESHOLD:
        yield Diagnosis(
            Severity.WARNING,
            f"{view.commits_waiting} answers wait for their commit.",
            "The database is slower than the players. Players wait, none is lost; look at the server's disk and at "
            "what else it does.",
            "commits",
        )


def _overrides(view: FleetView) -> Iterator[Diagnosis]:
    for lane in view.overrides.get("paused", ()):
        text = f"The {lane} lane is paused by an operator: its work waits."
        yield Diagnosis(Severity.WARNING, text, "Let it go on when the reason is over.", "workers")
    for lane, size in view.overrides.get("sizes", {}).items():
        text = f"An operator has set the {lane} lane of each worker to {size} connections."
        variable = "POOL_SIZE" if lane == "interactive" else "POOL_BACKGROUND_SIZE"
        yield Diagnosis(
            Severity.WARNING, text, f"It lasts until the service starts anew: set {variable} to keep it.", "size"
        )


def _checks(view: FleetView) -> Iterator[Diagnosis]:
    for finding in view.findings:
        if finding.level is Level.FAIL:
            yield Diagnosis(Severity.CRITICAL, f"{finding.check}: {finding.sentence}", finding.remedy, "doctor")


def _connections(view: FleetView, demand: Demand) -> Diagnosis:
    budget = view.need.workers_total + view.need.background_total
    peak = f", at most {demand.open_most} in the last hour" if demand.open_most is not None else ""
    text = f"Connections: {view.used} in use, {view.open} open of {budget}{peak}."
    facts = view.server.facts
    most = facts.max_connections if facts is not None else None
    connected = view.server.status.get("Threads_connected", 0)
    if most and connected >= USAGE_WARNING_RATIO * most and view.server.error is None:
        remedy = "Look at the budget: who else connects? Raise max_connections, or take fewer."
        return Diagnosis(Severity.CRITICAL, f"{text} The server has {connected} of {most}.", remedy, "budget")
    return Diagnosis(Severity.OK, text, part="budget")


def _demand(view: FleetView, demand: Demand) -> Diagnosis:
    if demand.rate == 0 and demand.busy < IDLE_THRESHOLD:
        return Diagnosis(Severity.OK, "Nobody has borrowed a connection in the last minute.", part="size")
    of = view.need.interactive * max(1, len(view.workers))
    text = f"Needs {demand.busy:.1f} of {of}: {demand.rate:.1f} borrows a second, {demand.mean_use_time * 1000:.1f} ms each."
    if demand.busy > USAGE_WARNING_RATIO * of:
        remedy = "Hold connections shorter, or raise POOL_SIZE within the budget. See docs/which-pool-size.md."
        return Diagnosis(Severity.WARNING, text, remedy, "size")
    return Diagnosis(Severity.OK, text, part="size")


def _recommended(view: FleetView, demand: Demand, recommendation: SizeRecommendation | None) -> Iterator[Diagnosis]:
    """Compare what the lab has measured with the settings, and with what is needed today."""
    if recommendation is None:
        return
    workers = max(1, len(view.workers))
    present, best = view.need.interactive * workers, recommendation.connections
    tail = f", p99 {recommendation.p99 * 1000:.0f} ms" if recommendation.p99 is not None else ""
    text = (
        f"The lab measured on {recommendation.at[:10]} that {best} connections carry "
        f"{recommendation.throughput:,.0f} requests a second{tail}; {present} are set, {demand.busy:.1f} are needed now."
    )
    if demand.busy > best:
        remedy = "More is needed than the lab found useful: what it measured is no longer what you run. Measure again."
        yield Diagnosis(Severity.WARNING, text, remedy, "size")
    elif not best / MISMATCH_FACTOR <= present <= best * MISMATCH_FACTOR:
        size = max(1, round(best / workers))
        remedy = f"Set POOL_SIZE={size} for {workers} workers, or measure again: poolproof lab size."
        yield Diagnosis(Severity.WARNING, text, remedy, "size")
    else:
        yield Diagnosis(Severity.OK, text, part="size")
