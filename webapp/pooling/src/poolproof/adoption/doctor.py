"""Whether the adopted engines of an application fit their server, and what its requests do wrong; in findings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool

from poolproof.capacity.budget import RELOAD_FACTOR, RESERVED_CONNECTIONS, Finding, Level
from poolproof.capacity.server_info import ServerInfo, read_server_info
from poolproof.core.queue_pool import FairQueuePool
from poolproof.fleet.registry import FleetSnapshot
from poolproof.lanes import Lane
from poolproof.leaks.leak_detector import SESSION_REMEDIES, Violation
from poolproof.runtime.files import JsonObject

SERVERS_READ = frozenset({"mysql", "mariadb", "postgresql", "sqlite"})
"""Kinds of servers whose limits can be asked for."""


def run_doctor(lanes: Sequence[Lane], fleet: FleetSnapshot, workers: int) -> list[Finding]:
    """Return every finding, the good ones too; connects once to the server of each engine.

    `workers` is how many processes serve the application.
    """
    findings = [_check_pool(lane) for lane in lanes]
    for address, group in _by_server(lanes).items():
        try:
            findings += check_server(address, limit_of(group), workers, _server_info(group[0]))
        except SQLAlchemyError as error:
            findings.append(Finding(address, Level.FAIL, f"It does not answer: {type(error).__name__}."))
    return [*findings, *check_counters(fleet.counters.get("lanes", {}))]


def finding_lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield the lines of a terminal that show findings, each with its level first and its remedy below."""
    for finding in findings:
        yield f"{finding.level.upper():4} {finding.check}: {finding.sentence}"
        if finding.remedy:
            yield f"     {finding.remedy}"


def limit_of(lanes: Sequence[Lane]) -> float:
    """Return how many connections a process may open for these engines together; infinity where nothing limits it."""
    return sum(_connection_limit(lane) for lane in lanes)


def check_server(address: str, limit: float, workers: int, info: ServerInfo | None) -> Iterator[Finding]:
    """Compare the connections that all workers may open, `limit` each, with what the server allows."""
    if info is None:
        yield Finding(address, Level.OK, "Its limits cannot be asked for; compare them with the pools yourself.")
        return
    if info.max_connections is None:
        yield Finding(address, Level.OK, f"{info.flavour} {info.version}: no limit of connections.")
        return
    available, allowed = min(_available(info, info.max_connections))
    needed = workers * limit * RELOAD_FACTOR + RESERVED_CONNECTIONS
    sentence = (
        f"{info.flavour} {info.version}: {workers} workers × {limit:g} connections × {RELOAD_FACTOR} while reloading "
        f"+ {RESERVED_CONNECTIONS} in reserve = {needed:g}; it allows {allowed}, of which "
        f"{available} are not reserved or others'."
    )
    if needed <= available:
        yield Finding(address, Level.OK, sentence)
        return
    share = max(1, (available - RESERVED_CONNECTIONS) // RELOAD_FACTOR // workers)
    remedy = f"Let pool_size + max_overflow of all its engines be {share} or less together, or raise its limit."
    yield Finding(address, Level.FAIL, sentence, remedy)


def _available(info: ServerInfo, max_connections: int) -> Iterator[tuple[int, int]]:
    """Yield for each limit of the server what is left of it for this application, and the limit itself."""
    yield max_connections - info.reserved_connections - info.foreign_connections, max_connections
    if info.max_user_connections:
        yield info.max_user_connections - info.role_connections_elsewhere, info.max_user_connections
    if info.max_database_connections:
        yield info.max_database_connections - info.foreign_database_connections, info.max_database_connections


def check_counters(lanes: Mapping[str, JsonObject]) -> Iterator[Finding]:
    """Say what the processes have counted: connections held wrongly, and requests that got none."""
    for name, counted in lanes.items():
        for kind, count in sorted(counted.get("violations", {}).items()):
            yield Finding(
                name, Level.WARN, f"{count} × {kind}; the log has each place.", SESSION_REMEDIES[Violation(kind)]
            )
        rejected = sum(int(counted.get(reason, 0)) for reason in ("timeouts", "shed", "refused"))
        if rejected:
            remedy = "See `flask pool checkouts` while it happens: who holds connections, and where."
            yield Finding(name, Level.WARN, f"{rejected} requests got no connection in time.", remedy)


def _check_pool(lane: Lane) -> Finding:
    pool = lane.engine.pool
    if not isinstance(pool, FairQueuePool):
        sentence = f"The pool is a {type(pool).__name__}: checkouts are watched, and none waits in order."
        return Finding(lane.name, Level.OK, sentence)
    overflow = pool.limit() - pool.size()
    sentence = (
        f"A fair pool of {pool.size()} connections and {overflow:g} more; a wait ends after {pool.timeout():g} s."
    )
    if 0 < overflow < math.inf:
        remedy = (
            f"The {overflow:g} are opened and closed by turns: pool_size={pool.limit():g}, max_overflow=0 keeps them."
        )
        return Finding(lane.name, Level.WARN, sentence, remedy)
    return Finding(lane.name, Level.OK, sentence)


def _connection_limit(lane: Lane) -> float:
    pool = lane.engine.pool
    if isinstance(pool, FairQueuePool):
        return pool.limit()
    return math.inf if isinstance(pool, QueuePool) else 1


def _by_server(lanes: Sequence[Lane]) -> dict[str, list[Lane]]:
    servers: dict[str, list[Lane]] = {}
    for lane in lanes:
        url = lane.engine.url
        port = f":{url.port}" if url.port else ""
        place = f"{url.host}{port}" if url.host else (url.database or "in memory")
        servers.setdefault(f"{url.get_backend_name()} {place}", []).append(lane)
    return servers


def _server_info(lane: Lane) -> ServerInfo | None:
    if lane.engine.dialect.name not in SERVERS_READ:
        return None
    with lane.engine.connect() as connection:
        return read_server_info(connection)
