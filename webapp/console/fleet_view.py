"""The whole fleet at one moment, as the console shows it: read from files, without the database."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
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
"""Seconds without a heartbeat after which a living process counts as stuck."""
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
    """Seconds for which the connections in use have been checked out, summed."""
    is_slow: bool
    is_paused: bool


@dataclass(frozen=True)
class ProcessView:
    """One process of the fleet. `rows` are its last seconds, with the columns of `metrics.timeline`."""

    key: str
    name: str
    number: int
    pid: int
    since: float
    silent_for: float
    is_ours: bool
    """Whether its master is the master of this process, so that commands reach it."""
    lanes: Sequence[LaneView]
    rows: Sequence[Sequence[float]]
    rejected: int
    """In the seconds of `rows`."""
    queued: int
    """Requests that wait for a thread."""
    stuck_for: float
    """Seconds for which no thread has been free for them."""
    recent_usage: JsonObject
    """Checkouts and busy seconds lately, and in how many seconds; empty in the first moments."""

    @property
    def label(self) -> str:
        """Its name in the console."""
        return f"{self.name} {self.number}" if self.number else f"{self.name} {self.pid}"

    @property
    def used(self) -> int:
        """Connections in use in all its lanes."""
        return sum(lane.used for lane in self.lanes)

    @property
    def idle(self) -> int:
        """Connections that are idle in all its lanes."""
        return sum(lane.idle for lane in self.lanes)

    @property
    def waiting(self) -> int:
        """Threads that wait."""
        return sum(lane.waiting for lane in self.lanes)

    @property
    def oldest(self) -> float:
        """How long the first of them has waited, in seconds."""
        return max((lane.oldest for lane in self.lanes), default=0.0)

    @property
    def is_silent(self) -> bool:
        """Whether its last heartbeat is too long ago."""
        return self.silent_for > SILENCE_THRESHOLD


@dataclass(frozen=True)
class HolderView:
    """A connection that is checked out: by whom, since when, and what the server reports of it."""

    process: ProcessView
    id: int
    checkout: int
    """Its number in its process; the next checkout of the same connection has another one."""
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
    """The latest poll of the server. Times are of the wall clock, in seconds."""

    facts: ServerInfo | None = None
    status: JsonObject = field(default_factory=dict)
    processes: JsonObject = field(default_factory=dict)
    slow_statements: Any = ()
    """A list, or a sentence that says why there is none."""
    polled_at: float = 0.0
    error: str | None = None
    error_since: float = 0.0
    clients_lost_last_hour: int = 0
    """Clients that the server has lost in the last hour, as far as it was polled."""
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
        return [process for process in self.processes if process.name == "worker"]

    @property
    def used(self) -> int:
        """Connections in use."""
        return sum(process.used for process in self.processes)

    @property
    def open(self) -> int:
        """Connections that are open."""
        return sum(process.used + process.idle for process in self.processes)

    @property
    def interactive_total(self) -> int:
        """Connections that the interactive lanes of the workers may open together."""
        return self.need.interactive * max(1, len(self.workers))

    def histogram(self, lane: str, name: str) -> Histogram:
        """Return a histogram of a lane by its name in the counters, summed over present and past processes."""
        counters = self.counters.get("lanes", {}).get(lane, {})
        return stats.histogram_from_dict(counters.get(name))


def load_fleet_view(directory: FleetDirectory, machine: str, fleet: FleetSize, settings: PoolSettings) -> FleetView:
    """Read the fleet's files; the settings have the sizes that operators have set."""
    snapshot = directory.snapshot()
    overrides = CommandQueue(directory.path).overrides(master_identity())
    processes = [_process_view(member) for member in snapshot.members]
    server = _server_view(server_monitor.read_snapshot(directory.path))
    effective = apply_overrides(settings, overrides)
    return FleetView(
        at=time.time(),
        machine=machine,
        processes=processes,
        holders=_holder_views(snapshot.members, processes, server),
        waiters=[
            {**waiter, "process": process.label}
            for member, process in zip(snapshot.members, processes, strict=True)
            for waiter in member.status.get("waiters", ())
        ],
        counters=snapshot.counters,
        commits_waiting=sum(
            queue["waiting"] for member in snapshot.members for queue in member.status.get("commits", {}).values()
        ),
        server=server,
        need=compute_budget(fleet, effective),
        findings=run_checks(fleet, effective, server.facts) if server.facts is not None else [],
        settings=effective,
        events=event_log.recent(directory.path, MAX_EVENTS),
        crashed=directory.crashed(),
        overrides=overrides,
    )


def apply_overrides(settings: PoolSettings, overrides: JsonObject) -> PoolSettings:
    """Return the settings with the sizes that operators have set."""
    return apply_sizes(settings, overrides.get("sizes", {}))


def apply_sizes(settings: PoolSettings, sizes: Mapping[str, int]) -> PoolSettings:
    """Return the settings with these sizes of lanes, by the lanes' names."""
    if size := sizes.get("interactive"):
        settings = with_size(settings, size)
    if size := sizes.get("background"):
        settings = replace(settings, background_size=size)
    return settings


def _process_view(member: Member) -> ProcessView:
    status, identity = member.status, member.identity
    timeline, threads = status.get("strip", {}), status.get("threads", {})
    rows = timeline.get("rows", [])
    return ProcessView(
        key=member.key,
        name=str(identity["name"]),
        number=int(identity["number"]),
        pid=int(identity["pid"]),
        since=float(identity["since"]),
        silent_for=member.silent_for,
        is_ours=identity["master"] == master_identity(),
        lanes=[LaneView(name, **lane) for name, lane in status.get("lanes", {}).items()],
        rows=rows,
        rejected=int(sum(row[4] for row in rows)),
        queued=threads.get("queued", 0),
        stuck_for=threads.get("stuck_for", 0.0),
        recent_usage=timeline.get("spent", {}),
    )


_PUBLISHED_HOLDER_FIELDS = tuple(
    each.name for each in fields(HolderView) if each.name not in {"process", "stack", "now_at", "on_server"}
)


def _holder_views(members: Sequence[Member], processes: Sequence[ProcessView], server: ServerView) -> list[HolderView]:
    holders = [
        HolderView(
            process,
            # While the service is reloaded, a process of another release may publish other fields.
            **{name: holder.get(name) for name in _PUBLISHED_HOLDER_FIELDS},
            stack=holder.get("stack", ()),
            now_at=holder.get("now_at", ""),
            on_server=server.processes.get(str(holder["id"])),
        )
        for member, process in zip(members, processes, strict=True)
        for holder in member.status.get("holders", ())
    ]
    return sorted(holders, key=lambda holder: -holder.seconds)


def _server_view(snapshot: JsonObject) -> ServerView:
    status, samples = snapshot.get("status") or {}, snapshot.get("samples") or []
    oldest = samples[0] if samples else None
    recent = next((sample for sample in samples if time.time() - sample[0] < RECENT_WINDOW), oldest)
    return ServerView(
        facts=ServerInfo(**snapshot["facts"]) if snapshot.get("facts") else None,
        status=status,
        processes=snapshot.get("processes") or {},
        slow_statements=snapshot.get("slow_statements") or (),
        polled_at=snapshot.get("polled_at") or 0.0,
        error=snapshot.get("error"),
        error_since=snapshot.get("error_since") or 0.0,
        clients_lost_last_hour=_growth(status, "Aborted_clients", oldest, 1),
        clients_lost_recently=_growth(status, "Aborted_clients", recent, 1),
        connections_refused_last_hour=_growth(status, "Connection_errors_max_connections", oldest, 2),
    )


def _growth(status: JsonObject, variable: str, sample: Sequence[float] | None, column: int) -> int:
    """Return by how much a counter of the server has grown since a sample; 0 where there is none."""
    return max(0, int(status[variable] - sample[column])) if sample and status else 0
