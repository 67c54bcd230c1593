"""The whole fleet at one moment, as the console shows it: gathered from files, without the database."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from poolproof import event_log
from poolproof.capacity.budget import ConnectionBudget, Finding, FleetSize, compute_budget, run_checks
from poolproof.capacity.server_info import ServerInfo
from poolproof.core import stats
from poolproof.core.stats import Histogram
from poolproof.fleet.agent import master_identity
from poolproof.fleet.commands import CommandQueue
from poolproof.fleet.registry import FleetDirectory, Member
from poolproof.runtime.files import JsonObject
from poolproof.settings import PoolSettings, with_size
from webapp.console import server_monitor

RECENT_WINDOW = 600.0
"""Seconds."""
SILENCE_THRESHOLD = 3.0
"""Seconds without a word after which a living process counts as stuck."""
MAX_EVENTS = 300


@dataclass(frozen=True)
class LaneView:
    """One lane of one process."""

    name: str
    used: int
    idle: int
    size: int
    most: int | None
    waiting: int
    oldest: float
    held: float
    """Seconds for which those in use have been held, summed."""
    is_slow: bool
    is_paused: bool


@dataclass(frozen=True)
class ProcessView:
    """One process of the fleet. `rows` are its last seconds, as `strip.COLUMNS` says."""

    key: str
    name: str
    number: int
    pid: int
    since: float
    silent_for: float
    is_ours: bool
    """Whether the master that has started it is this one's, so that orders reach it."""
    lanes: Sequence[LaneView]
    rows: Sequence[Sequence[float]]
    rejected: int
    """In the seconds of `rows`."""
    queued: int
    """Requests that wait for a thread."""
    stuck_for: float
    """Seconds for which no thread has been free for them."""
    recent_usage: JsonObject
    """Borrows and busy seconds lately, and in how many seconds; empty in the first moments."""

    @property
    def label(self) -> str:
        """What the console calls it."""
        return f"{self.name} {self.number}" if self.number else f"{self.name} {self.pid}"

    @property
    def used(self) -> int:
        """Connections in use in all its lanes."""
        return sum(lane.used for lane in self.lanes)

    @property
    def idle(self) -> int:
        """Connections that lie idle in all its lanes."""
        return sum(lane.idle for lane in self.lanes)

    @property
    def waiting(self) -> int:
        """Threads that wait."""
        return sum(lane.waiting for lane in self.lanes)

    @property
    def oldest(self) -> float:
        """How long the first of them has waited, in seconds."""
        return max((lane.oldest for lane in self.lanes), default=0.0)


@dataclass(frozen=True)
class HolderView:
    """Somebody who holds a connection, and what the server says of that connection."""

    process: ProcessView
    id: int
    since: float
    """On the machine's monotonic clock; tells this hold from the next one of the same connection."""
    lane: str
    name: str
    seconds: float
    statements: int
    statement: str
    running: float | None
    idle: float
    place: str
    violations: Sequence[str]
    stack: Sequence[str]
    now_at: str
    on_server: JsonObject | None


@dataclass(frozen=True)
class ServerView:
    """What was seen of the server last. Times are of the wall clock, in seconds."""

    facts: ServerInfo | None = None
    status: JsonObject = field(default_factory=dict)
    processes: JsonObject = field(default_factory=dict)
    slow: Any = ()
    polled_at: float = 0.0
    error: str | None = None
    error_since: float = 0.0
    clients_lost_last_hour: int = 0
    """Clients that the server has lost in the last hour, as far as it was watched."""
    clients_lost_recently: int = 0
    """… in the last ten minutes."""
    connections_refused_last_hour: int = 0


@dataclass(frozen=True)
class FleetView:
    """Everything the console shows."""

    at: float
    machine: str
    processes: Sequence[ProcessView]
    holders: Sequence[HolderView]
    waiters: Sequence[JsonObject]
    counters: JsonObject
    commits_waiting: int
    server: ServerView
    need: ConnectionBudget
    findings: Sequence[Finding]
    settings: PoolSettings
    events: Sequence[JsonObject]
    crashed: Sequence[JsonObject]
    overrides: JsonObject

    @property
    def workers(self) -> Sequence[ProcessView]:
        """The Gunicorn workers."""
        return [one for one in self.processes if one.name == "worker"]

    @property
    def used(self) -> int:
        """Connections in use."""
        return sum(one.used for one in self.processes)

    @property
    def open(self) -> int:
        """Connections that are open."""
        return sum(one.used + one.idle for one in self.processes)

    def histogram(self, lane: str, what: str) -> Histogram:
        """Return the waits, uses or creates of a lane, of all processes that ever were."""
        tree = self.counters.get("lanes", {}).get(lane, {})
        return stats.histogram_from_dict(tree.get(what))


def load_fleet_view(folder: FleetDirectory, machine: str, fleet: FleetSize, settings: PoolSettings) -> FleetView:
    """Read the fleet's files; sizes are those that operators have set, where they have."""
    seen = folder.snapshot()
    standing = CommandQueue(folder.path).overrides(master_identity())
    processes = [_process_view(one) for one in seen.members]
    server = _server_view(server_monitor.read_snapshot(folder.path))
    present = apply_overrides(settings, standing)
    return FleetView(
        at=time.time(),
        machine=machine,
        processes=processes,
        holders=_holder_views(seen.members, processes, server),
        waiters=[
            {**waiter, "process": process.label}
            for member, process in zip(seen.members, processes, strict=True)
            for waiter in member.status.get("waiters", ())
        ],
        counters=seen.counters,
        commits_waiting=sum(c["waiting"] for one in seen.members for c in one.status.get("commits", {}).values()),
        server=server,
        need=compute_budget(fleet, present),
        findings=run_checks(fleet, present, server.facts) if server.facts is not None else [],
        settings=present,
        events=event_log.recent(folder.path, MAX_EVENTS),
        crashed=folder.crashed(),
        overrides=standing,
    )


def apply_overrides(settings: PoolSettings, overrides: JsonObject) -> PoolSettings:
    """Return the settings with the sizes that operators have set since."""
    return apply_sizes(settings, overrides.get("sizes", {}))


def apply_sizes(settings: PoolSettings, sizes: Mapping[str, int]) -> PoolSettings:
    """Return the settings with these sizes of lanes, by the lanes' names."""
    if size := sizes.get("interactive"):
        settings = with_size(settings, size)
    if size := sizes.get("background"):
        settings = replace(settings, background_size=size)
    return settings


def _process_view(member: Member) -> ProcessView:
    now, about = member.status, member.identity
    rows = now.get("strip", {}).get("rows", [])
    return ProcessView(
        key=member.key,
        name=str(about["name"]),
        number=int(about["number"]),
        pid=int(about["pid"]),
        since=float(about["since"]),
        silent_for=member.silent_for,
        is_ours=about["master"] == master_identity(),
        lanes=[LaneView(name, **lane) for name, lane in now.get("lanes", {}).items()],
        rows=rows,
        rejected=int(sum(row[4] for row in rows)),
        queued=now.get("threads", {}).get("queued", 0),
        stuck_for=now.get("threads", {}).get("stuck_for", 0.0),
        recent_usage=now.get("strip", {}).get("spent", {}),
    )


def _holder_views(members: Sequence[Member], processes: Sequence[ProcessView], server: ServerView) -> list[HolderView]:
    found = [
        HolderView(
            process,
            **{name: value for name, value in holder.items() if name not in {"stack", "now_at"}},
            stack=holder.get("stack", ()),
            now_at=holder.get("now_at", ""),
            on_server=server.processes.get(str(holder["id"])),
        )
        for member, process in zip(members, processes, strict=True)
        for holder in member.status.get("holders", ())
    ]
    return sorted(found, key=lambda one: -one.seconds)


def _server_view(snapshot: JsonObject) -> ServerView:
    if not snapshot:
        return ServerView()
    marks, status = snapshot.get("marks") or [], snapshot.get("status") or {}
    first = marks[0] if marks else None
    recent = next((mark for mark in marks if time.time() - mark[0] < RECENT_WINDOW), first)
    return ServerView(
        facts=ServerInfo(**snapshot["facts"]) if snapshot.get("facts") else None,
        status=status,
        processes=snapshot.get("processes") or {},
        slow=snapshot.get("slow") or (),
        polled_at=snapshot.get("asked_at") or 0.0,
        error=snapshot.get("trouble"),
        error_since=snapshot.get("error_since") or 0.0,
        clients_lost_last_hour=max(0, int(status["Aborted_clients"] - first[1])) if first and status else 0,
        clients_lost_recently=max(0, int(status["Aborted_clients"] - recent[1])) if recent and status else 0,
        connections_refused_last_hour=max(0, int(status["Connection_errors_max_connections"] - first[2]))
        if first and status
        else 0,
    )
