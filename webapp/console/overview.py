"""Numbers into sentences: what is wrong with the fleet, why, and what to do. Pure.

The worst comes first. Every sentence says what was measured; one that is not well says what to do,
and which part of the page shows more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

from webapp.console.durations import span
from webapp.console.needs import Needs
from webapp.console.reports import Measured
from webapp.console.view import SILENT_AFTER, HolderView, View
from webapp.pooling.budget import Level
from webapp.pooling.watch import REMEDIES, Kind

NEARLY_FULL = 0.9
STUCK_AFTER = 1.0
LONG = 5.0
"""Seconds of a wait or hold that are worth an alarm."""
HOUR = 3600.0
RECENT_EVENT = 120.0
MOST_ALIKE = 5
"""Places where connections are held wrongly that are named one by one."""
IDLE = 0.05
"""Connections busy in the mean that are not worth a number."""
FAR_OFF = 2.0
"""How many times more or fewer connections than the lab recommends are worth a look."""
BACKLOG = 200
"""Entries that wait for their commit."""


class Grade(IntEnum):
    """How bad a sentence is; the highest is the page's."""

    WELL = 0
    LOOK = 1
    BAD = 2

    @property
    def word(self) -> str:
        """The word that stands beside the colour."""
        return ("all is well", "look at this", "trouble")[self]


@dataclass(frozen=True)
class Sentence:
    """One thing an operator should know."""

    grade: Grade
    text: str
    remedy: str = ""
    part: str = ""
    """The part of the page that shows more."""


def grade_of(sentences: Sequence[Sentence]) -> Grade:
    """Return the worst grade."""
    return max((one.grade for one in sentences), default=Grade.WELL)


def sentences(view: View, needs: Needs, measured: Measured | None = None) -> list[Sentence]:
    """Return what is to be said of the fleet, the worst first; `measured` is what the lab has recommended last."""
    found = [
        *_database(view),
        *_processes(view),
        *_waiting(view),
        *_holds(view),
        *_commits(view),
        *_orders(view),
        *_checks(view),
        _connections(view, needs),
        _need(view, needs),
        *_measured(view, needs, measured),
    ]
    return sorted(found, key=lambda one: -one.grade)


def _database(view: View) -> Iterator[Sentence]:
    server = view.server
    if server.trouble is not None:
        yield Sentence(
            Grade.BAD,
            f"The database has not answered for {span(view.at - server.trouble_since)}: {server.trouble}.",
            "Look whether the server runs and can be reached. Open quizzes are served meanwhile, answers wait in the "
            "players' browsers; everything goes on by itself when it is back.",
            "server",
        )
    elif server.facts is None:
        yield Sentence(Grade.WELL, "The database has not been asked yet.", part="server")
    if server.refused_lately:
        yield Sentence(
            Grade.BAD,
            f"The server has refused {server.refused_lately} connections in the last hour: Too many connections.",
            "Look at the budget: who else connects? Then raise max_connections, or take fewer workers or a smaller "
            "pool. See docs/too-many-connections.md.",
            "budget",
        )
    # Those that an operator has ended from here are no riddle.
    ended = sum(event["kind"] == "ended" for event in view.events if view.at - event["at"] < HOUR)
    if (lost := server.lost_lately - ended) > 0:
        yield Sentence(
            Grade.LOOK if server.lost_just_now > ended else Grade.WELL,
            f"The server has lost {lost} client{'s' if lost > 1 else ''} in the last hour without a goodbye.",
            "A process was killed, or something between here and the server cuts idle connections: set "
            "POOL_PING_EVERY below its time-out. See docs/lost-connection.md.",
            "server",
        )


def _processes(view: View) -> Iterator[Sentence]:
    for one in view.processes:
        if one.silent_for > SILENT_AFTER:
            yield Sentence(
                Grade.BAD,
                f"{one.label.capitalize()} (process {one.pid}) has said nothing for {span(one.silent_for)}.",
                "It is frozen or starved of the processor; if it lasts, kill it: the master starts another one.",
                "workers",
            )
    for death in view.deaths:
        ago = view.at - death["found_at"]
        if ago < RECENT_EVENT:
            yield Sentence(
                Grade.LOOK,
                f"{str(death['name']).capitalize()} {death['number'] or death['pid']} ended {span(ago)} ago without "
                "a goodbye: it was killed.",
                "Look for the out-of-memory killer (journalctl -k), or for who sent SIGKILL.",
                "events",
            )
    expected, living = view.need.fleet.workers, len(view.workers)
    if living > expected:
        text = f"{living} workers live where {expected} are set: a reload is under way."
        yield Sentence(Grade.WELL, text, part="workers")
    elif living < expected:
        yield Sentence(
            Grade.LOOK,
            f"{living} workers live where {expected} are set.",
            "One is starting, or cannot: look at the log of the master.",
            "workers",
        )


def _waiting(view: View) -> Iterator[Sentence]:
    for one in view.processes:
        if one.stuck_for > STUCK_AFTER:
            wait = f"{one.queued} request{'s wait' if one.queued > 1 else ' waits'}"
            yield Sentence(
                Grade.BAD,
                f"{one.label.capitalize()}: no thread has been free for {span(one.stuck_for)}, and {wait} for one.",
                f"All of them are busy with something that takes long{_most_common(view, one.key)}. See who holds "
                "connections, and what the server says of those.",
                "holders",
            )
        if one.waiting:
            requests = f"{one.waiting} request{'s wait' if one.waiting > 1 else ' waits'}"
            for_whom = _most_common(view, one.key)
            yield Sentence(
                Grade.BAD if one.oldest > 1.0 or one.waiting > 2 * _size(view) else Grade.LOOK,
                f"{one.label.capitalize()}: {requests} for a connection, the first for {span(one.oldest)}.",
                f"See who holds them{for_whom}. See docs/queuepool-limit-reached.md.",
                "holders",
            )
    turned_away = sum(one.turned_away for one in view.processes)
    if turned_away:
        slow = [one.label for one in view.processes if any(lane.is_slow for lane in one.lanes)]
        where = f" ({', '.join(slow)} still sheds load)" if slow else ""
        yield Sentence(
            Grade.BAD,
            f"{turned_away} requests were turned away with 503 in the last two minutes{where}.",
            "More came than the pools could serve in time. Shorten what holds connections; then see “Which size?”.",
            "workers",
        )


def _most_common(view: View, key: str) -> str:
    places = Counter(one.place for one in view.holders if one.process.key == key)
    return f", most often {places.most_common(1)[0][0]}" if places else ""


def _size(view: View) -> int:
    return view.need.interactive


def _holds(view: View) -> Iterator[Sentence]:
    alike: dict[tuple[str, str], list[HolderView]] = {}
    for one in view.holders:
        if one.kinds:
            alike.setdefault((one.kinds[0], one.place), []).append(one)
    for (name, place), held in list(alike.items())[:MOST_ALIKE]:
        kind, longest = Kind(name), held[0]
        who = longest.process.label.capitalize() + " has held a connection for"
        if len(held) > 1:
            who = f"{len(held)} connections have been held for up to"
        yield Sentence(
            Grade.BAD if longest.seconds > LONG else Grade.LOOK,
            f"{who} {span(longest.seconds)} in {_request(longest)}: {_named(kind)}",
            f"Borrowed at {place}. {REMEDIES[kind]}",
            "holders",
        )
    recent = Counter(
        (str(event["kind"]), str(event["place"]))
        for event in view.events
        if event["kind"] in {Kind.LEAKED, Kind.ORPHANED} and view.at - event["at"] < RECENT_EVENT
    )
    for (kind_name, place), count in recent.most_common(3):
        times = f"{count} connections were" if count > 1 else "A connection was"
        text = f"{times} {kind_name} at {place} in the last two minutes."
        yield Sentence(Grade.LOOK, text, REMEDIES[Kind(kind_name)], "events")


def _named(kind: Kind) -> str:
    return {
        Kind.IDLE_HELD: "held idle, a leak?",
        Kind.LONG_STATEMENT: "one long statement.",
        Kind.NESTED: "beside another one of its own.",
        Kind.ORPHANED: "its request is over.",
        Kind.LEAKED: "nobody has it any more.",
    }[kind]


def _request(holder: HolderView) -> str:
    return holder.name.partition(" (request")[0]


def _commits(view: View) -> Iterator[Sentence]:
    if view.commits_waiting > BACKLOG:
        yield Sentence(
            Grade.LOOK,
            f"{view.commits_waiting} answers wait for their commit.",
            "The database is slower than the players. Players wait, none is lost; look at the server's disk and at "
            "what else it does.",
            "commits",
        )


def _orders(view: View) -> Iterator[Sentence]:
    for lane in view.standing.get("paused", ()):
        text = f"The {lane} lane is paused by an operator: its work waits."
        yield Sentence(Grade.LOOK, text, "Let it go on when the reason is over.", "workers")
    for lane, size in view.standing.get("sizes", {}).items():
        text = f"An operator has set the {lane} lane of each worker to {size} connections."
        variable = "POOL_SIZE" if lane == "interactive" else "POOL_BACKGROUND"
        yield Sentence(Grade.LOOK, text, f"It lasts until the service starts anew: set {variable} to keep it.", "size")


def _checks(view: View) -> Iterator[Sentence]:
    for finding in view.findings:
        if finding.level is Level.FAIL:
            yield Sentence(Grade.BAD, f"{finding.check}: {finding.sentence}", finding.remedy, "doctor")


def _connections(view: View, needs: Needs) -> Sentence:
    budget = view.need.of_the_workers + view.need.of_the_others
    peak = f", at most {needs.open_most} in the last hour" if needs.open_most is not None else ""
    text = f"Connections: {view.used} in use, {view.open} open of {budget}{peak}."
    facts = view.server.facts
    most = facts.max_connections if facts is not None else None
    connected = view.server.status.get("Threads_connected", 0)
    if most and connected >= NEARLY_FULL * most and view.server.trouble is None:
        remedy = "Look at the budget: who else connects? Raise max_connections, or take fewer."
        return Sentence(Grade.BAD, f"{text} The server has {connected} of {most}.", remedy, "budget")
    return Sentence(Grade.WELL, text, part="budget")


def _need(view: View, needs: Needs) -> Sentence:
    if needs.rate == 0 and needs.busy < IDLE:
        return Sentence(Grade.WELL, "Nobody has borrowed a connection in the last minute.", part="size")
    of = view.need.interactive * max(1, len(view.workers))
    text = f"Needs {needs.busy:.1f} of {of}: {needs.rate:.1f} borrows a second, {needs.hold * 1000:.1f} ms each."
    if needs.busy > NEARLY_FULL * of:
        remedy = "Hold connections shorter, or raise POOL_SIZE within the budget. See docs/which-pool-size.md."
        return Sentence(Grade.LOOK, text, remedy, "size")
    return Sentence(Grade.WELL, text, part="size")


def _measured(view: View, needs: Needs, measured: Measured | None) -> Iterator[Sentence]:
    """Compare what the lab has measured with the settings, and with what is needed today."""
    if measured is None:
        return
    workers = max(1, len(view.workers))
    present, best = view.need.interactive * workers, measured.connections
    tail = f", p99 {measured.p99 * 1000:.0f} ms" if measured.p99 is not None else ""
    text = (
        f"The lab measured on {measured.at[:10]} that {best} connections carry {measured.throughput:,.0f} requests a "
        f"second{tail}; {present} are set, {needs.busy:.1f} are needed now."
    )
    if needs.busy > best:
        remedy = "More is needed than the lab found useful: what it measured is no longer what you run. Measure again."
        yield Sentence(Grade.LOOK, text, remedy, "size")
    elif not best / FAR_OFF <= present <= best * FAR_OFF:
        size = max(1, round(best / workers))
        remedy = f"Set POOL_SIZE={size} for {workers} workers, or measure again: poolproof lab size."
        yield Sentence(Grade.LOOK, text, remedy, "size")
    else:
        yield Sentence(Grade.WELL, text, part="size")
