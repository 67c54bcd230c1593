"""How busy processors (from Linux's /proc) and the database (from its own counters) are while a run is measured."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from poolproof.lab.hosts import is_local_host
from poolproof.lab.sizing.bottleneck import ResourceUsage
from poolproof.lab.sizing.measured_engine import WorkOnEngine
from poolproof.lab.sizing.measurements import Setting

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
IDLE_FIELD, IOWAIT_FIELD = 3, 4
UTIME_FIELD, STIME_FIELD = 11, 12
"""Positions of processor times in stat, after the name (proc(5))."""
LOCK_TIME_QUERY = "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_time'"
FLUSH_TIME_QUERY = (
    "SELECT SUM(sum_timer_misc) FROM performance_schema.file_summary_by_event_name"
    " WHERE event_name = 'wait/io/file/innodb/innodb_log_file'"
)
WAITS_QUERY = text(
    "SELECT COUNT(*) FILTER (WHERE wait_event_type = 'Lock'),"
    " COUNT(*) FILTER (WHERE LOWER(wait_event) IN ('walsync', 'walwrite'))"
    " FROM pg_stat_activity WHERE datname = CURRENT_DATABASE() AND state = 'active' AND pid <> PG_BACKEND_PID()"
)
WAIT_INTERVAL = 0.05
"""Seconds between two looks at what sessions wait for."""


@dataclass(frozen=True)
class ResourceSample:
    """Counters at one moment: seconds, and None where the system or the server does not tell."""

    taken_at: float
    busy_cpu: float | None
    total_cpu: float | None
    process_cpu: dict[int, float] = field(default_factory=dict)
    own_cpu: float | None = None
    """Processor time used by the measurement and its database; None where the database's process is not visible."""
    lock_wait: float | None = None
    log_flush: float | None = None


@dataclass(frozen=True)
class WaitShares:
    """Share of the connections' time that was spent waiting for rows, and of the time that was spent on the log."""

    locks: float
    flushes: float


def take_sample(
    work: WorkOnEngine | None, pids: Sequence[int], server_pid: int | None = None, client_pids: Sequence[int] = ()
) -> ResourceSample:
    """Read all counters: of the processes that have the pool (`pids`), of the database's, and of the clients'."""
    busy_cpu, total_cpu = _machine_cpu_seconds()
    lock_wait = log_flush = None
    with suppress(SQLAlchemyError), _counters(work) as connection:
        lock_wait = _lock_wait_seconds(connection)
        log_flush = _log_flush_seconds(connection)
    process_cpu = {pid: seconds for pid in pids if (seconds := cpu_seconds(pid)) is not None}
    own_cpu = None
    if server_pid is not None:
        own_cpu = sum(process_cpu.values()) + sum(cpu_seconds(pid) or 0.0 for pid in (server_pid, *client_pids))
    return ResourceSample(time.monotonic(), busy_cpu, total_cpu, process_cpu, own_cpu, lock_wait, log_flush)


def usage_between(
    before: ResourceSample, after: ResourceSample, setting: Setting, concurrency: int, pool_share: float | None
) -> ResourceUsage:
    """Return how busy the resources were between two samples."""
    seconds = max(1e-9, after.taken_at - before.taken_at)
    cpu_used = [
        after.process_cpu[pid] - before.process_cpu[pid] for pid in before.process_cpu if pid in after.process_cpu
    ]
    return ResourceUsage(
        size=setting.pool,
        concurrency=concurrency,
        processes=setting.workers,
        machine_cpu=_share(before.busy_cpu, after.busy_cpu, _delta(before.total_cpu, after.total_cpu)),
        own_cpu=_share(before.own_cpu, after.own_cpu, _delta(before.total_cpu, after.total_cpu)),
        process_cpu=max(cpu_used) / seconds if cpu_used else None,
        lock_share=_share(before.lock_wait, after.lock_wait, seconds * setting.pool * setting.workers),
        flush_share=_share(before.log_flush, after.log_flush, seconds),
        pool_share=pool_share,
    )


def measure_machine_cpu(seconds: float) -> float | None:
    """Measure for some seconds how busy this machine's processors are; None where the system does not tell."""
    before, total_before = _machine_cpu_seconds()
    time.sleep(seconds)
    after, total = _machine_cpu_seconds()
    return _share(before, after, _delta(total_before, total))


def find_server_pid(work: WorkOnEngine) -> int | None:
    """Return the database's process id; None where it is on another machine, or not visible."""
    if not is_local_host(work.engine.url.host or "localhost"):
        return None
    with suppress(SQLAlchemyError, OSError, ValueError), _counters(work) as connection:
        pid_file, data_folder = connection.execute(text("SELECT @@global.pid_file, @@global.datadir")).one()
        pid = int((Path(data_folder) / pid_file).read_text(encoding="ascii"))
        return pid if cpu_seconds(pid) is not None else None
    return None


def cpu_seconds(pid: int) -> float | None:
    """Return the processor time that a process has used; None where it is not visible."""
    try:
        # "pid (name) state …": the name may contain blanks and brackets.
        fields = (PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[UTIME_FIELD]) + int(fields[STIME_FIELD])) / TICKS_PER_SECOND


def watch_waits(work: WorkOnEngine | None, until: float, setting: Setting) -> WaitShares | None:
    """Sleep until a moment; on PostgreSQL, return the shares of row locks and of log writes, which it does not count.

    It says what each session waits for now, so that is asked again and again.
    """
    samples: list[tuple[int, int]] = []
    if work is not None and work.engine.dialect.name == "postgresql":
        with suppress(SQLAlchemyError):
            while time.monotonic() + WAIT_INTERVAL < until:
                with work.read() as connection:
                    locks, flushes = connection.execute(WAITS_QUERY).one()
                samples.append((int(locks), int(flushes)))
                time.sleep(WAIT_INTERVAL)
    time.sleep(max(0.0, until - time.monotonic()))
    if not samples:
        return None
    return WaitShares(
        min(1.0, sum(locks for locks, _ in samples) / len(samples) / setting.pool),
        sum(flushes > 0 for _, flushes in samples) / len(samples),
    )


@contextmanager
def _counters(work: WorkOnEngine | None) -> Iterator[Connection]:
    """Check out a connection of a server that has MySQL's counters.

    Raises:
        SQLAlchemyError: when it is another one.
    """
    if work is None or work.engine.dialect.name not in {"mysql", "mariadb"}:
        raise SQLAlchemyError("not MySQL")
    with work.read() as connection:
        yield connection


def _machine_cpu_seconds() -> tuple[float | None, float | None]:
    try:
        times = [int(field) for field in (PROC / "stat").read_text().splitlines()[0].split()[1:9]]
    except OSError:
        return None, None
    return (sum(times) - times[IDLE_FIELD] - times[IOWAIT_FIELD]) / TICKS_PER_SECOND, sum(times) / TICKS_PER_SECOND


def _lock_wait_seconds(connection: Connection) -> float | None:
    row = connection.execute(text(LOCK_TIME_QUERY)).one_or_none()
    return int(row[1]) / 1e3 if row else None


def _log_flush_seconds(connection: Connection) -> float | None:
    try:
        picoseconds = connection.execute(text(FLUSH_TIME_QUERY)).scalar()
    except SQLAlchemyError:
        # An ordinary account may not read performance_schema.
        return None
    return float(picoseconds) / 1e12 if picoseconds else None


def _delta(before: float | None, after: float | None) -> float:
    return (after or 0.0) - (before or 0.0)


def _share(before: float | None, after: float | None, total: float) -> float | None:
    if before is None or after is None or total <= 0:
        return None
    return min(1.0, max(0.0, (after - before) / total))
