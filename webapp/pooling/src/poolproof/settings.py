"""The settings of the pool, checked before anything is opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, get_args

from poolproof.errors import PoolConfigurationError

PoolClass = Literal["queue", "null", "static", "singleton_thread"]
BootCheck = Literal["strict", "warn", "off"]
TlsMode = Literal["auto", "off", "required"]
BlockingGuard = Literal["auto", "raise", "count"]


class Limits(NamedTuple):
    """The least and the greatest value of a setting; with `is_open` the least one itself is not allowed."""

    minimum: float
    maximum: float
    is_open: bool = False

    def allows(self, value: float) -> bool:
        """Say whether a value lies within."""
        return (value > self.minimum or (value == self.minimum and not self.is_open)) and value <= self.maximum

    def __str__(self) -> str:
        """Say what is allowed."""
        return f"{'more than' if self.is_open else 'at least'} {self.minimum:g} and at most {self.maximum:g}"


_COUNT, _HOUR = Limits(0, 1000), Limits(0, 3600, is_open=True)
_MINUTE = Limits(0, 60, is_open=True)
LIMITS: Mapping[str, Limits] = MappingProxyType(
    {
        "size": Limits(1, 1000),
        "max_overflow": _COUNT,
        "background_size": Limits(1, 1000),
        "max_connections_per_request": Limits(1, 16),
        "timeout": _MINUTE,
        "max_waiting": Limits(0, 100_000),
        "codel_target": Limits(0, 60),
        "codel_interval": _MINUTE,
        "request_deadline": _HOUR,
        "long_work_share": Limits(0, 1, is_open=True),
        "recycle": Limits(1, 10 * 365 * 86_400),
        "ping_idle_after": Limits(0, 3600),
        "max_idle": Limits(0, 86_400, is_open=True),
        "min_idle": _COUNT,
        "keepalive_interval": _HOUR,
        "leak_threshold": _HOUR,
        "connect_timeout": _MINUTE,
        "read_timeout": _HOUR,
        "write_timeout": _HOUR,
        "statement_timeout": _HOUR,
        "lock_wait_timeout": Limits(1, 3600),
        "background_statement_timeout": Limits(0, 1800, is_open=True),
    }
)
"""The range of each numeric setting."""


CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "pool_class": get_args(PoolClass),
        "blocking_guard": get_args(BlockingGuard),
        "boot_check": get_args(BootCheck),
        "tls": get_args(TlsMode),
    }
)
"""The allowed words of each setting that is a word."""


@dataclass(frozen=True, kw_only=True)
class PoolSettings:
    """Settings of one process's pool. All times are in seconds. In texts a setting is named as its variable, POOL_….

    Raises:
        PoolConfigurationError: when values are out of range or contradict each other; all of them are named.
    """

    pool_class: PoolClass = "queue"
    """`queue` keeps connections, `null` opens one for each use. As a variable: POOL_CLASS."""
    size: int | None = None
    """Connections a process may hold. Default: as many as it has request threads."""
    max_overflow: int = 0
    """Connections above `size`, closed on return. They are opened and closed often, and count in the budget."""
    background_size: int = 2
    """Connections of a process for work that no request waits for: imports, exports, the collector."""
    max_connections_per_request: int = 1
    """Connections that one request may hold at once."""
    timeout: float = 2.0
    """How long a request waits for a connection before it gets 503."""
    max_waiting: int | None = None
    """How many requests may wait at once; the next gets 503 at once. Default: any number."""
    codel_target: float = 0.05
    """When even the shortest wait stays above this for `codel_interval`, long waits end with 503. 0: never."""
    codel_interval: float = 1.0
    request_deadline: float = 20.0
    """For a whole request: no wait for a connection lasts beyond it."""
    long_work_share: float = 0.5
    """Share of a process's request threads that requests may occupy for long: transfers of files, and waits for a
    suspended lane. At least one thread; the next such request is refused at once."""
    recycle: int | None = None
    """Age at which a connection is renewed. Default: 80 % of the server's wait_timeout."""
    ping_idle_after: float = 0.5
    """A connection that was idle for longer is pinged before it is used; less where idle connections were cut off."""
    max_idle: float = 300.0
    """An idle connection that was not used for so long is closed, except `min_idle`."""
    min_idle: int = 1
    """Idle connections that are kept, and kept alive, in any case."""
    keepalive_interval: float = 15.0
    """Idle connections are pinged at this interval, by a background thread."""
    leak_threshold: float = 2.0
    """A connection that is held idle, or runs one statement, for longer is reported in the log."""
    blocking_guard: BlockingGuard = "auto"
    """What happens to a request that sleeps, renders or opens a network connection while it holds a connection: `raise`
    an error, or `count` and log it; `auto`: an error in debug mode and tests."""
    metrics: bool = True
    """Count and time what the pool does."""
    connect_timeout: float = 1.0
    """For the TCP connection, and for each reply of the server until it is authenticated."""
    read_timeout: float = 15.0
    write_timeout: float = 15.0
    statement_timeout: float = 10.0
    """The server ends a longer statement (MySQL: SELECT only; MariaDB: every one)."""
    lock_wait_timeout: int = 1
    """Whole seconds that a statement waits for a row that another transaction has locked. Shorter than a request waits
    for its answer: the unit of work is repeated meanwhile, or ends with 503."""
    background_statement_timeout: float = 60.0
    """The same for work that no request waits for, whose reads and writes get as much more time; at least the above."""
    boot_check: BootCheck = "strict"
    """At boot: `strict` refuses to start when a check fails, `warn` logs it and starts, `off` skips the checks."""
    tls: TlsMode = "auto"
    """`auto`: off on this machine, required elsewhere."""
    tls_ca: Path | None = None
    """The certificate authority that the server's certificate is checked against."""

    def __post_init__(self) -> None:
        """Refuse values out of range and contradictions."""
        if problems := [*_out_of_range(self), *_unknown_words(self)] or [*_contradictions(self)]:
            raise PoolConfigurationError("\n".join(problems))


def with_size(settings: PoolSettings, size: int) -> PoolSettings:
    """Return the settings of a pool of another size; `min_idle` is lowered to it."""
    return replace(settings, size=size, min_idle=min(settings.min_idle, size))


def changed_settings(settings: PoolSettings) -> dict[str, Any]:
    """Return the settings that differ from their defaults."""
    pairs = ((field, getattr(settings, field.name)) for field in fields(PoolSettings))
    return {field.name: value for field, value in pairs if value != field.default}


def _out_of_range(settings: PoolSettings) -> Iterator[str]:
    for name, limits in LIMITS.items():
        value = getattr(settings, name)
        if value is not None and not limits.allows(value):
            yield f"{variable(name)} is {value:g}: it must be {limits}."


def _unknown_words(settings: PoolSettings) -> Iterator[str]:
    for name, words in CHOICES.items():
        if getattr(settings, name) not in words:
            yield f"{variable(name)} is {getattr(settings, name)!r}: it must be one of {', '.join(words)}."


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return "POOL_CLASS" if name == "pool_class" else f"POOL_{name.upper()}"


def _contradictions(settings: PoolSettings) -> Iterator[str]:
    """Check values that have to fit each other, in pairs."""
    if settings.read_timeout <= settings.statement_timeout:
        yield (
            f"POOL_READ_TIMEOUT is {settings.read_timeout:g} s but a statement may take "
            f"POOL_STATEMENT_TIMEOUT = {settings.statement_timeout:g} s: legal statements would be cut off. "
            "Set POOL_READ_TIMEOUT above it."
        )
    if settings.size is not None and settings.min_idle > settings.size:
        yield (
            f"POOL_MIN_IDLE is {settings.min_idle} but a pool has only POOL_SIZE = {settings.size} connections: "
            "so many can never be idle. Set POOL_MIN_IDLE to that or less."
        )
    if settings.timeout > settings.request_deadline:
        yield (
            f"POOL_TIMEOUT is {settings.timeout:g} s but a whole request has only POOL_REQUEST_DEADLINE = "
            f"{settings.request_deadline:g} s: it could spend all of it waiting. Set POOL_TIMEOUT below it."
        )
    if settings.tls_ca is not None and settings.tls == "off":
        yield "POOL_TLS_CA is set but POOL_TLS is off: remove one of the two."
    elif settings.tls_ca is not None and not settings.tls_ca.is_file():
        yield f"POOL_TLS_CA names {settings.tls_ca}, which is not a file."
