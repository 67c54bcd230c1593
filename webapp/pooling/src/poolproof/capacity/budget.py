"""The budget of connections: whether a fleet fits on its server, in findings an operator can act on. Pure.

    workers × (interactive + background + console + writer) × 2 + background processes × (background + 1) + reserve
        ≤ max_connections − what others use

Twice, because a reload (HUP) starts the new workers before it stops the old ones. A
background process is a command (an import, a collection) that runs beside the workers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from poolproof.capacity.server_info import ServerInfo
from poolproof.errors import PoolConfigurationError
from poolproof.health.connection_age import MAX_AGE_WITHOUT_LIMIT, recycle_after
from poolproof.settings import PoolSettings

RESERVED_CONNECTIONS = 2
"""Connections left for a client beside the fleet: an operator, a migration."""
RELOAD_FACTOR = 2
CONSOLE_CONNECTIONS = 1
WRITER_CONNECTIONS = 1
"""Of a worker that has a group commit."""


class Level(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """The result of one check: its name, a sentence with the numbers, and what to do."""

    check: str
    level: Level
    sentence: str
    remedy: str = ""


@dataclass(frozen=True)
class FleetSize:
    """How many processes there are, and how many request threads each worker has."""

    workers: int
    threads: int
    background_processes: int = 0
    has_writer: bool = False
    """Whether each worker has a group commit, which needs a connection of its own."""


@dataclass(frozen=True)
class ConnectionBudget:
    """The most connections that the fleet opens: each lane of each worker, and the background processes."""

    fleet: FleetSize
    interactive: int
    background: int
    console: int
    writer: int

    @property
    def per_worker(self) -> int:
        """All lanes of one worker."""
        return self.interactive + self.background + self.console + self.writer

    @property
    def workers_total(self) -> int:
        """All workers, while none is being reloaded."""
        return self.fleet.workers * self.per_worker

    @property
    def background_total(self) -> int:
        """All background processes: each has its background lane, and one connection more for short reads."""
        return self.fleet.background_processes * (self.background + 1)

    @property
    def total(self) -> int:
        """Everything at once, while the workers are reloaded, with the reserve."""
        return self.workers_total * RELOAD_FACTOR + self.background_total + RESERVED_CONNECTIONS

    def __str__(self) -> str:
        """Return the sum with its parts."""
        workers, others = self.fleet.workers, self.fleet.background_processes
        lanes = f"{self.interactive} interactive + {self.background} background + {self.console} console"
        lanes += f" + {self.writer} writer" if self.writer else ""
        beside = f" + {others} background processes × {self.background + 1}" if others else ""
        return (
            f"{workers} workers × ({lanes}) × {RELOAD_FACTOR} while reloading{beside} "
            f"+ {RESERVED_CONNECTIONS} in reserve = {self.total}"
        )


def compute_budget(fleet: FleetSize, pool: PoolSettings) -> ConnectionBudget:
    """Return how many connections the fleet may open."""
    writer = WRITER_CONNECTIONS if fleet.has_writer else 0
    return ConnectionBudget(fleet, _interactive_size(fleet, pool), pool.background_size, CONSOLE_CONNECTIONS, writer)


def _interactive_size(fleet: FleetSize, pool: PoolSettings) -> int:
    if pool.pool_class == "null":
        return fleet.threads * pool.max_connections_per_request
    return (pool.size or fleet.threads) + pool.max_overflow


def run_checks(fleet: FleetSize, pool: PoolSettings, server: ServerInfo) -> list[Finding]:
    """Return every finding, the good ones too."""
    findings = list(_check_pool(fleet, pool))
    if server.flavour == "sqlite":
        return [Finding("server", Level.OK, f"SQLite {server.version}: no server, no limit of connections."), *findings]
    return [
        Finding("server", Level.OK, f"{server.flavour} {server.version}"),
        *_check_limits(fleet, pool, server),
        *findings,
        _check_recycle(pool, server),
        _check_privileges(server),
        _check_writable(server),
        _check_refused_connections(server),
    ]


@dataclass(frozen=True)
class _Limit:
    """A limit of connections, and what of it is not for the fleet."""

    name: str
    allowed: int
    others: int = 0
    """Connections that others have."""
    reserved: int = 0
    """Connections that an ordinary account cannot have."""


def _check_limits(fleet: FleetSize, pool: PoolSettings, server: ServerInfo) -> Iterator[Finding]:
    # An administrator may have the reserved ones as well, which is a finding of its own.
    total, others, reserved = server.max_connections or 0, server.foreign_connections, server.reserved_connections
    yield _check_limit(fleet, pool, _Limit("max_connections", total, others, reserved))
    if server.max_user_connections:
        name = "the role's connection limit" if server.flavour == "postgresql" else "max_user_connections"
        # Of this account's limit, connections of other accounts take nothing.
        elsewhere = server.role_connections_elsewhere
        yield _check_limit(fleet, pool, _Limit(name, server.max_user_connections, elsewhere))
    if server.max_database_connections:
        name, others = "the database's connection limit", server.foreign_database_connections
        yield _check_limit(fleet, pool, _Limit(name, server.max_database_connections, others))


def _check_limit(fleet: FleetSize, pool: PoolSettings, limit: _Limit) -> Finding:
    budget, taken = compute_budget(fleet, pool), limit.others + limit.reserved
    available = limit.allowed - taken
    kept = f" − {limit.reserved} reserved" if limit.reserved else ""
    sentence = f"{budget}; {limit.name} = {limit.allowed}{kept} − {limit.others} of others = {available}."
    if budget.total <= available:
        return Finding(limit.name, Level.OK, sentence)
    per_worker = (available - RESERVED_CONNECTIONS - budget.background_total) // RELOAD_FACTOR // fleet.workers
    max_size = per_worker - budget.background - budget.console - budget.writer - pool.max_overflow
    smaller = f"set POOL_SIZE to {max_size} or less, " if max_size > 0 else ""
    remedy = (
        f"Raise {limit.name} to {budget.total + taken} or more, {smaller}or run fewer workers with more threads each."
    )
    # It fails also where it would fit without a reload: that would go unnoticed until the first reload.
    return Finding(limit.name, Level.FAIL, sentence, remedy)


def _check_pool(fleet: FleetSize, pool: PoolSettings) -> Iterator[Finding]:
    size, nesting = _interactive_size(fleet, pool), pool.max_connections_per_request
    size_without_waits = fleet.threads * nesting
    sharing = f"{fleet.threads} request threads share {size} connections"
    sharing += f", each takes up to {nesting}" if nesting > 1 else ""
    if size >= size_without_waits:
        yield Finding("waiting", Level.OK, f"{sharing}: no request waits for a connection.")
    elif pool.codel_target:
        yield Finding("waiting", Level.OK, f"{sharing}: requests wait, and are turned away when it lasts.")
    else:
        remedy = f"Set POOL_SIZE to {size_without_waits}, or POOL_CODEL_TARGET to 0.05."
        yield Finding("waiting", Level.FAIL, f"{sharing} and shedding is off: an overload makes all wait.", remedy)
    if nesting > 1:
        yield _check_nesting(fleet.threads, nesting, size)
    yield Finding(
        "time-outs",
        Level.OK,
        f"A statement ends after {pool.statement_timeout:g} s, one of background work after "
        f"{max(pool.background_statement_timeout, pool.statement_timeout):g} s, a silent server is given up after "
        f"{pool.read_timeout:g} s, a wait for a connection after {pool.timeout:g} s.",
    )
    if pool.max_overflow:
        remedy = "Set POOL_MAX_OVERFLOW to 0 and POOL_SIZE to what you mean."
        yield Finding(
            "overflow", Level.WARN, f"{pool.max_overflow} connections are opened and closed by turns.", remedy
        )


def _check_nesting(threads: int, nesting: int, size: int) -> Finding:
    # In the worst case each thread holds all but its last connection; one more lets one of them finish.
    min_size = threads * (nesting - 1) + 1
    sentence = (
        f"{threads} request threads × ({nesting} connections at once − 1) + 1 = {min_size}; a worker's pool has {size}."
    )
    if size >= min_size:
        return Finding("nesting", Level.OK, sentence)
    remedy = (
        f"Set POOL_SIZE to {min_size} or more, or hold one connection at a time and set "
        "POOL_MAX_CONNECTIONS_PER_REQUEST to 1."
    )
    return Finding("nesting", Level.FAIL, f"{sentence} All threads could wait for each other.", remedy)


def _check_recycle(pool: PoolSettings, server: ServerInfo) -> Finding:
    if server.wait_timeout is None:
        seconds = pool.recycle or MAX_AGE_WITHOUT_LIMIT
        sentence = f"Connections are renewed after {seconds} s at most; the server closes none that is idle."
        return Finding("wait_timeout", Level.OK, sentence)
    wait_timeout = server.wait_timeout
    try:
        seconds = recycle_after(pool.recycle, wait_timeout)
    except PoolConfigurationError as error:
        return Finding("wait_timeout", Level.FAIL, str(error))
    sentence = f"Connections are renewed after {seconds} s at most; wait_timeout = {wait_timeout} s."
    return Finding("wait_timeout", Level.OK, sentence)


def _check_privileges(server: ServerInfo) -> Finding:
    if not server.is_administrator:
        return Finding("privileges", Level.OK, "The account is an ordinary one.")
    if server.flavour == "postgresql":
        sentence = "The role is a superuser, so it also takes the connections that the server reserves for operators."
        return Finding("privileges", Level.WARN, sentence, "Use a role without privileges beside its own tables.")
    return Finding(
        "privileges",
        Level.WARN,
        "The account may administer connections (SUPER, CONNECTION_ADMIN or all privileges on *.*), so it also "
        "takes the one connection that the server keeps free for the administrator.",
        "Use an account with privileges on its own schema only.",
    )


def _check_writable(server: ServerInfo) -> Finding:
    if not server.read_only:
        return Finding("read_only", Level.OK, "The server takes writes.")
    remedy = "Point DATABASE_URL at the primary, or end read_only (PostgreSQL: default_transaction_read_only)."
    return Finding("read_only", Level.FAIL, "The server is read-only: no answer can be stored.", remedy)


def _check_refused_connections(server: ServerInfo) -> Finding:
    if server.flavour == "postgresql":
        return Finding("refused", Level.OK, "PostgreSQL counts no refused connections.")
    peak = f"at most {server.max_used_connections} of {server.max_connections} connections were in use"
    if not server.refused:
        return Finding("refused", Level.OK, f"Since the server started {peak}, and none was refused.")
    sentence = f"Since the server started {server.refused} connections were refused, and {peak}."
    return Finding("refused", Level.WARN, sentence, "Look who else connects, or raise max_connections.")
