"""What is busy while a run is measured: processors, as Linux says, and the database, as it says itself."""

from __future__ import annotations

import ipaddress
import os
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from webapp.lab.figures import Setting
from webapp.lab.knee import Seen
from webapp.pooling.work import Work

PROCESSES = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
IDLE, WAITING_FOR_DISK = 3, 4
USER_TIME, SYSTEM_TIME = 11, 12
"""Places of processor times in stat, after the name (proc(5))."""
LOCK_TIME = "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_time'"
FLUSH_TIME = (
    "SELECT SUM(sum_timer_misc) FROM performance_schema.file_summary_by_event_name"
    " WHERE event_name = 'wait/io/file/innodb/innodb_log_file'"
)


@dataclass(frozen=True)
class Look:
    """Counters at one moment; seconds, and None where nobody says."""

    at: float
    busy: float | None
    all_processors: float | None
    processes: dict[int, float] = field(default_factory=dict)
    own: float | None = None
    """Used by the measurement and its database so far; None where the database's process cannot be seen."""
    locked: float | None = None
    flushed: float | None = None


def look(work: Work, processes: Sequence[int], server: int | None = None, others: Sequence[int] = ()) -> Look:
    """Read all counters now: of the processes that have the pool, of the database's, and of the clients'."""
    busy, all_processors = _machine()
    locked = flushed = None
    with suppress(SQLAlchemyError), work.read() as connection:
        locked = _milliseconds(connection)
        flushed = _picoseconds(connection)
    used = {pid: seconds for pid in processes if (seconds := processor_seconds(pid)) is not None}
    own = None
    if server is not None:
        own = sum(used.values()) + sum(processor_seconds(pid) or 0.0 for pid in (server, *others))
    return Look(time.monotonic(), busy, all_processors, used, own, locked, flushed)


def between(before: Look, after: Look, setting: Setting, concurrency: int, pool_share: float | None) -> Seen:
    """Return what was busy between two looks."""
    seconds = max(1e-9, after.at - before.at)
    used = [after.processes[pid] - before.processes[pid] for pid in before.processes if pid in after.processes]
    return Seen(
        size=setting.pool,
        concurrency=concurrency,
        processes=setting.workers,
        machine_cpu=_share(before.busy, after.busy, _grown(before.all_processors, after.all_processors)),
        own_cpu=_share(before.own, after.own, _grown(before.all_processors, after.all_processors)),
        process_cpu=max(used) / seconds if used else None,
        lock_share=_share(before.locked, after.locked, seconds * setting.pool * setting.workers),
        flush_share=_share(before.flushed, after.flushed, seconds),
        pool_share=pool_share,
    )


def machine_share(seconds: float) -> float | None:
    """Look for so long how busy this machine's processors are; None where it does not say."""
    before, total_before = _machine()
    time.sleep(seconds)
    after, total = _machine()
    return _share(before, after, _grown(total_before, total))


def server_process(work: Work) -> int | None:
    """Return the number of the database's process; None where it is on another machine, or hides it."""
    if not is_here(work.engine.url.host or "localhost"):
        return None
    with suppress(SQLAlchemyError, OSError, ValueError), work.read() as connection:
        place, folder = connection.execute(text("SELECT @@global.pid_file, @@global.datadir")).one()
        pid = int((Path(folder) / place).read_text(encoding="ascii"))
        return pid if processor_seconds(pid) is not None else None
    return None


def is_here(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return all(ipaddress.ip_address(one[4][0]).is_loopback for one in socket.getaddrinfo(host, None))
    except OSError:
        return False


def children(pid: int) -> list[int]:
    """Return a process's children: Gunicorn's workers."""
    try:
        return [int(one) for one in (PROCESSES / f"{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def processor_seconds(pid: int) -> float | None:
    """Return what a process has used so far; None where it cannot be seen."""
    try:
        # "pid (name) state …": the name may hold blanks and brackets.
        fields = (PROCESSES / f"{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[USER_TIME]) + int(fields[SYSTEM_TIME])) / TICKS


def _machine() -> tuple[float | None, float | None]:
    try:
        times = [int(one) for one in (PROCESSES / "stat").read_text().splitlines()[0].split()[1:9]]
    except OSError:
        return None, None
    return (sum(times) - times[IDLE] - times[WAITING_FOR_DISK]) / TICKS, sum(times) / TICKS


def _milliseconds(connection: Connection) -> float | None:
    found = connection.execute(text(LOCK_TIME)).one_or_none()
    return int(found[1]) / 1e3 if found else None


def _picoseconds(connection: Connection) -> float | None:
    try:
        found = connection.execute(text(FLUSH_TIME)).scalar()
    except SQLAlchemyError:
        # An ordinary account may not look there.
        return None
    return float(found) / 1e12 if found else None


def _grown(before: float | None, after: float | None) -> float:
    return (after or 0.0) - (before or 0.0)


def _share(before: float | None, after: float | None, of: float) -> float | None:
    if before is None or after is None or of <= 0:
        return None
    return min(1.0, max(0.0, (after - before) / of))
