"""Does it fit? The arithmetic of connections, in findings an operator can act on. Pure.

    workers × (pool + overflow + 1) × 2 + reserve  ≤  max_connections − what others use

The one is the connection that only /readyz uses. Twice, because a reload (HUP) starts the
new workers before it stops the old ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from webapp.pooling.errors import PoolConfigurationError
from webapp.pooling.freshness import recycle_after
from webapp.pooling.server import ServerFacts
from webapp.pooling.settings import PoolSettings

RESERVE = 2
"""Connections left for people with a client in their hand: an operator, a migration."""
WHILE_RELOADING = 2


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One check: what was looked at, the sentence with the numbers, and what to do."""

    check: str
    level: Level
    sentence: str
    remedy: str = ""


@dataclass(frozen=True)
class Fleet:
    """How many processes and request threads there are."""

    workers: int
    threads: int


def connections_at_most(fleet: Fleet, pool: PoolSettings) -> int:
    """Return how many connections the fleet opens at most while nothing is reloaded."""
    return fleet.workers * (_of_one_process(fleet, pool) + 1)


def _of_one_process(fleet: Fleet, pool: PoolSettings) -> int:
    if pool.pool_class == "null":
        return fleet.threads
    return (pool.size or fleet.threads) + pool.overflow


def examine(fleet: Fleet, pool: PoolSettings, server: ServerFacts) -> list[Finding]:
    """Return every finding, the good ones too."""
    findings = list(_of_the_pool(fleet, pool))
    if server.flavour == "sqlite":
        return [Finding("server", Level.OK, f"SQLite {server.version}: no server, no limit of connections."), *findings]
    return [
        Finding("server", Level.OK, f"{server.flavour} {server.version}"),
        *_limits(fleet, pool, server),
        *findings,
        _renewal(pool, server),
        _privileges(server),
        _writable(server),
        _refused(server),
    ]


def _limits(fleet: Fleet, pool: PoolSettings, server: ServerFacts) -> Iterator[Finding]:
    yield _limit(fleet, pool, "max_connections", server.max_connections or 0, server.others)
    if server.max_user_connections:
        # Others of the same account count, others of the server do not.
        yield _limit(fleet, pool, "max_user_connections", server.max_user_connections, 0)


def _limit(fleet: Fleet, pool: PoolSettings, name: str, allowed: int, others: int) -> Finding:
    at_most = connections_at_most(fleet, pool)
    need, have = at_most * WHILE_RELOADING + RESERVE, allowed - others
    each = at_most // fleet.workers
    sentence = (
        f"{fleet.workers} workers × {each} connections × {WHILE_RELOADING} while reloading + {RESERVE} in reserve "
        f"= {need}; {name} = {allowed} − {others} of others = {have}."
    )
    if need <= have:
        return Finding(name, Level.OK, sentence)
    fits = max(0, (have - RESERVE) // WHILE_RELOADING // fleet.workers - 1 - pool.overflow)
    smaller = f"set POOL_SIZE to {fits} or less, " if fits else ""
    remedy = f"Raise {name} to {need + others} or more, {smaller}or run fewer workers with more threads each."
    # Without a reload it may fit; then nobody notices before the first one.
    return Finding(name, Level.FAIL, sentence, remedy)


def _of_the_pool(fleet: Fleet, pool: PoolSettings) -> Iterator[Finding]:
    size = _of_one_process(fleet, pool)
    waits = f"{fleet.threads} request threads share {size} connections"
    if size >= fleet.threads:
        yield Finding("waiting", Level.OK, f"{waits}: no request waits for a connection.")
    elif pool.shed_target:
        yield Finding("waiting", Level.OK, f"{waits}: requests wait, and are turned away when it lasts.")
    else:
        remedy = f"Set POOL_SIZE to {fleet.threads}, or POOL_SHED_TARGET to 0.05."
        yield Finding("waiting", Level.WARN, f"{waits} and shedding is off: an overload makes all wait.", remedy)
    yield Finding(
        "time-outs",
        Level.OK,
        f"A statement ends after {pool.statement_timeout:g} s, a silent server is given up after "
        f"{pool.read_timeout:g} s, a wait for a connection after {pool.timeout:g} s.",
    )
    if pool.overflow:
        remedy = "Set POOL_OVERFLOW to 0 and POOL_SIZE to what you mean."
        yield Finding("overflow", Level.WARN, f"{pool.overflow} connections are opened and closed by turns.", remedy)


def _renewal(pool: PoolSettings, server: ServerFacts) -> Finding:
    wait_timeout = server.wait_timeout or 0
    try:
        seconds = recycle_after(pool.recycle, wait_timeout)
    except PoolConfigurationError as error:
        return Finding("wait_timeout", Level.FAIL, str(error))
    sentence = f"Connections are renewed after {seconds} s at most; wait_timeout = {wait_timeout} s."
    return Finding("wait_timeout", Level.OK, sentence)


def _privileges(server: ServerFacts) -> Finding:
    if not server.is_administrator:
        return Finding("privileges", Level.OK, "The account is an ordinary one.")
    return Finding(
        "privileges",
        Level.WARN,
        "The account may administer connections (SUPER, CONNECTION_ADMIN or all privileges on *.*), so it also "
        "takes the one connection that the server keeps free for the administrator.",
        "Use an account with privileges on its own schema only.",
    )


def _writable(server: ServerFacts) -> Finding:
    if not server.read_only:
        return Finding("read_only", Level.OK, "The server takes writes.")
    remedy = "Point DATABASE_URL at the primary, or end read_only."
    return Finding("read_only", Level.FAIL, "The server is read-only: no answer can be stored.", remedy)


def _refused(server: ServerFacts) -> Finding:
    peak = f"at most {server.max_used_connections} of {server.max_connections} connections were in use"
    if not server.refused:
        return Finding("refused", Level.OK, f"Since the server started {peak}, and none was refused.")
    sentence = f"Since the server started {server.refused} connections were refused, and {peak}."
    return Finding("refused", Level.WARN, sentence, "Look who else connects, or raise max_connections.")
