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

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.lab.sizing.measurements import Setting
from webapp.lab.sizing.recommendation import ResourceUsage

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
IDLE_FIELD, IOWAIT_FIELD = 3, 4
UTIME_FIELD, STIME_FIELD = 11, 12
"""Places of processor times in stat, after the name (proc(5))."""
LOCK_TIME_QUERY = "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_time'"
FLUSH_TIME_QUERY = (
    "SELECT SUM(sum_timer_misc) FROM performance_schema.file_summary_by_event_name"
    " WHERE event_name = 'wait/io/file/innodb/innodb_log_file'"
)


@dataclass(frozen=True)
class ResourceSample:
    """Counters at one moment; seconds, and None where nobody says."""

    taken_at: float
    busy_cpu: float | None
    total_cpu: float | None
    process_cpu: dict[int, float] = field(default_factory=dict)
    own_cpu: float | None = None
    """Used by the measurement and its database so far; None where the database's process cannot be seen."""
    lock_wait: float | None = None
    log_flush: float | None = None


def take_sample(
    work: UnitOfWork, pids: Sequence[int], server_pid: int | None = None, client_pids: Sequence[int] = ()
) -> ResourceSample:
    """Read all counters now: of the processes that have the pool, of the database's, and of the clients'."""
    busy, all_processors = _machine_cpu_seconds()
    locked = flushed = None
    with suppress(SQLAlchemyError), work.read() as connection:
        locked = _lock_wait_seconds(connection)
        flushed = _log_flush_seconds(connection)
    used = {pid: seconds for pid in pids if (seconds := cpu_seconds(pid)) is not None}
    own = None
    if server_pid is not None:
        own = sum(used.values()) + sum(cpu_seconds(pid) or 0.0 for pid in (server_pid, *client_pids))
    return ResourceSample(time.monotonic(), busy, all_processors, used, own, locked, flushed)


def usage_between(
    before: ResourceSample, after: ResourceSample, setting: Setting, concurrency: int, pool_share: float | None
) -> ResourceUsage:
    """Return what was busy between two looks."""
    seconds = max(1e-9, after.taken_at - before.taken_at)
    used = [after.process_cpu[pid] - before.process_cpu[pid] for pid in before.process_cpu if pid in after.process_cpu]
    return ResourceUsage(
        size=setting.pool,
        concurrency=concurrency,
        processes=setting.workers,
        machine_cpu=_share(before.busy_cpu, after.busy_cpu, _delta(before.total_cpu, after.total_cpu)),
        own_cpu=_share(before.own_cpu, after.own_cpu, _delta(before.total_cpu, after.total_cpu)),
        process_cpu=max(used) / seconds if used else None,
        lock_share=_share(before.lock_wait, after.lock_wait, seconds * setting.pool * setting.workers),
        flush_share=_share(before.log_flush, after.log_flush, seconds),
        pool_share=pool_share,
    )


def measure_machine_cpu(seconds: float) -> float | None:
    """Look for so long how busy this machine's processors are; None where it does not say."""
    before, total_before = _machine_cpu_seconds()
    time.sleep(seconds)
    after, total = _machine_cpu_seconds()
    return _share(before, after, _delta(total_before, total))


def find_server_pid(work: UnitOfWork) -> int | None:
    """Return the number of the database's process; None where it is on another machine, or hides it."""
    if not is_local_host(work.engine.url.host or "localhost"):
        return None
    with suppress(SQLAlchemyError, OSError, ValueError), work.read() as connection:
        place, folder = connection.execute(text("SELECT @@global.pid_file, @@global.datadir")).one()
        pid = int((Path(folder) / place).read_text(encoding="ascii"))
        return pid if cpu_seconds(pid) is not None else None
    return None


def is_local_host(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return all(ipaddress.ip_address(one[4][0]).is_loopback for one in socket.getaddrinfo(host, None))
    except OSError:
        return False


def child_pids(pid: int) -> list[int]:
    """Return a process's children: Gunicorn's workers."""
    try:
        return [int(one) for one in (PROC / f"{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def cpu_seconds(pid: int) -> float | None:
    """Return what a process has used so far; None where it cannot be seen."""
    try:
        # "pid (name) state …": the name may hold blanks and brackets.
        fields = (PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[UTIME_FIELD]) + int(fields[STIME_FIELD])) / TICKS_PER_SECOND


def _machine_cpu_seconds() -> tuple[float | None, float | None]:
    try:
        times = [int(one) for one in (PROC / "stat").read_text().splitlines()[0].split()[1:9]]
    except OSError:
        return None, None
    return (sum(times) - times[IDLE_FIELD] - times[IOWAIT_FIELD]) / TICKS_PER_SECOND, sum(times) / TICKS_PER_SECOND


def _lock_wait_seconds(connection: Connection) -> float | None:
    found = connection.execute(text(LOCK_TIME_QUERY)).one_or_none()
    return int(found[1]) / 1e3 if found else None


def _log_flush_seconds(connection: Connection) -> float | None:
    try:
        found = connection.execute(text(FLUSH_TIME_QUERY)).scalar()
    except SQLAlchemyError:
        # An ordinary account may not look there.
        return None
    return float(found) / 1e12 if found else None


def _delta(before: float | None, after: float | None) -> float:
    return (after or 0.0) - (before or 0.0)


def _share(before: float | None, after: float | None, of: float) -> float | None:
    if before is None or after is None or of <= 0:
        return None
    return min(1.0, max(0.0, (after - before) / of))
