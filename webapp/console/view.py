"""The whole fleet at one moment, as the console shows it: gathered from files, without the database."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from webapp.console import observer
from webapp.pooling import diary, plain
from webapp.pooling.budget import Finding, Fleet, Need, examine, need_of
from webapp.pooling.fleet import Folder, Member, Tree
from webapp.pooling.orders import Orders
from webapp.pooling.publishing import master_name
from webapp.pooling.server import ServerFacts
from webapp.pooling.settings import PoolSettings
from webapp.pooling.statistics import Histogram

JUST_NOW = 600.0
"""Seconds."""
SILENT_AFTER = 3.0
"""Seconds without a word after which a living process counts as stuck."""
EVENTS_SHOWN = 300


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
    turned_away: int
    """In the seconds of `rows`."""
    queued: int
    """Requests that wait for a thread."""
    stuck_for: float
    """Seconds for which no thread has been free for them."""
    spent: Tree
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
    kinds: Sequence[str]
    stack: Sequence[str]
    now_at: str
    on_server: Tree | None


@dataclass(frozen=True)
class ServerView:
    """What was seen of the server last. Times are of the wall clock, in seconds."""

    facts: ServerFacts | None = None
    status: Tree = field(default_factory=dict)
    processes: Tree = field(default_factory=dict)
    slow: Any = ()
    asked_at: float = 0.0
    trouble: str | None = None
    trouble_since: float = 0.0
    lost_lately: int = 0
    """Clients that the server has lost in the last hour, as far as it was watched."""
    lost_just_now: int = 0
    """… in the last ten minutes."""
    refused_lately: int = 0


@dataclass(frozen=True)
class View:
    """Everything the console shows."""

    at: float
    machine: str
    processes: Sequence[ProcessView]
    holders: Sequence[HolderView]
    waiters: Sequence[Tree]
    counted: Tree
    commits_waiting: int
    server: ServerView
    need: Need
    findings: Sequence[Finding]
    settings: PoolSettings
    events: Sequence[Tree]
    deaths: Sequence[Tree]
    standing: Tree

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
        tree = self.counted.get("lanes", {}).get(lane, {})
        return plain.histogram(tree.get(what))


def gather(folder: Folder, machine: str, fleet: Fleet, settings: PoolSettings) -> View:
    """Read the fleet's files; sizes are those that operators have set, where they have."""
    seen = folder.look()
    standing = Orders(folder.path).standing(master_name())
    processes = [_process(one) for one in seen.members]
    server = _server(observer.last_seen(folder.path))
    present = as_set(settings, standing)
    return View(
        at=time.time(),
        machine=machine,
        processes=processes,
        holders=_holders(seen.members, processes, server),
        waiters=[
            {**waiter, "process": process.label}
            for member, process in zip(seen.members, processes, strict=True)
            for waiter in member.now.get("waiters", ())
        ],
        counted=seen.counted,
        commits_waiting=sum(c["waiting"] for one in seen.members for c in one.now.get("commits", {}).values()),
        server=server,
        need=need_of(fleet, present),
        findings=examine(fleet, present, server.facts) if server.facts is not None else [],
        settings=present,
        events=diary.read(folder.path, EVENTS_SHOWN),
        deaths=folder.deaths(),
        standing=standing,
    )


def as_set(settings: PoolSettings, standing: Tree) -> PoolSettings:
    """Return the settings with the sizes that operators have set since."""
    sizes = standing.get("sizes", {})
    changes = {"size": sizes.get("interactive"), "background": sizes.get("background")}
    return settings.model_copy(update={name: value for name, value in changes.items() if value})


def _process(member: Member) -> ProcessView:
    now, about = member.now, member.about
    rows = now.get("strip", {}).get("rows", [])
    return ProcessView(
        key=member.key,
        name=str(about["name"]),
        number=int(about["number"]),
        pid=int(about["pid"]),
        since=float(about["since"]),
        silent_for=member.silent_for,
        is_ours=about["master"] == master_name(),
        lanes=[LaneView(name, **lane) for name, lane in now.get("lanes", {}).items()],
        rows=rows,
        turned_away=int(sum(row[4] for row in rows)),
        queued=now.get("threads", {}).get("queued", 0),
        stuck_for=now.get("threads", {}).get("stuck_for", 0.0),
        spent=now.get("strip", {}).get("spent", {}),
    )


def _holders(members: Sequence[Member], processes: Sequence[ProcessView], server: ServerView) -> list[HolderView]:
    found = [
        HolderView(
            process,
            **{name: value for name, value in holder.items() if name not in {"stack", "now_at"}},
            stack=holder.get("stack", ()),
            now_at=holder.get("now_at", ""),
            on_server=server.processes.get(str(holder["id"])),
        )
        for member, process in zip(members, processes, strict=True)
        for holder in member.now.get("holders", ())
    ]
    return sorted(found, key=lambda one: -one.seconds)


def _server(seen: Tree) -> ServerView:
    if not seen:
        return ServerView()
    marks, status = seen.get("marks") or [], seen.get("status") or {}
    first = marks[0] if marks else None
    recent = next((mark for mark in marks if time.time() - mark[0] < JUST_NOW), first)
    return ServerView(
        facts=ServerFacts(**seen["facts"]) if seen.get("facts") else None,
        status=status,
        processes=seen.get("processes") or {},
        slow=seen.get("slow") or (),
        asked_at=seen.get("asked_at") or 0.0,
        trouble=seen.get("trouble"),
        trouble_since=seen.get("trouble_since") or 0.0,
        lost_lately=max(0, int(status["Aborted_clients"] - first[1])) if first and status else 0,
        lost_just_now=max(0, int(status["Aborted_clients"] - recent[1])) if recent and status else 0,
        refused_lately=max(0, int(status["Connection_errors_max_connections"] - first[2])) if first and status else 0,
    )
