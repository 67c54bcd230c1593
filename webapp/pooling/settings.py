"""What an operator may say about the pool, checked before anything is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

PoolClass = Literal["queue", "null", "static", "singleton_thread"]
BootCheck = Literal["strict", "warn", "off"]
TlsMode = Literal["auto", "off", "required"]


class PoolSettings(BaseModel):
    """Settings of one process's pool. All times are in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    pool_class: PoolClass = Field("queue", alias="class")
    """`queue` keeps connections, `null` opens one for each use."""
    size: int | None = Field(None, ge=1, le=1000)
    """Connections a process may hold. Default: as many as it has request threads."""
    overflow: int = Field(0, ge=0, le=1000)
    """Connections above `size`, closed on return. Overflow churns and blurs the budget."""
    background: int = Field(2, ge=1, le=1000)
    """Connections of a process for work that nobody waits for: imports, exports, the collector."""
    nesting: int = Field(1, ge=1, le=16)
    """Connections that one request may hold at once."""
    timeout: float = Field(2.0, gt=0, le=60)
    """How long a request waits for a connection before it gets 503."""
    max_waiting: int | None = Field(None, ge=0, le=100_000)
    """How many requests may wait at once; the next gets 503 at once. Default: any number."""
    shed_target: float = Field(0.05, ge=0, le=60)
    """The shortest wait that may last; if it lasts for `shed_interval`, long waits end with 503. 0: never."""
    shed_interval: float = Field(1.0, gt=0, le=60)
    deadline: float = Field(20.0, gt=0, le=3600)
    """For a whole request: it never waits for a connection longer than what is left of this."""
    recycle: int | None = Field(None, ge=1)
    """Age at which a connection is renewed. Default: 80 % of the server's wait_timeout."""
    ping_after: float = Field(0.5, ge=0, le=3600)
    """A connection that lay idle for longer is pinged before it is used; less where cut-offs were seen."""
    retire_after: float = Field(300.0, gt=0, le=86_400)
    """An idle connection that nobody used for so long is closed, except `keep`."""
    keep: int = Field(1, ge=0, le=1000)
    """How many idle connections are kept and kept alive in any case."""
    ping_every: float = Field(15.0, gt=0, le=3600)
    """Idle connections are asked so often, off the path of any request, whether they are alive."""
    watch_after: float = Field(2.0, gt=0, le=3600)
    """A connection that is held idle, or runs one statement, for so long is named in the log."""
    guard: Literal["auto", "raise", "count"] = "auto"
    """What a request gets that sleeps, renders or calls out while it holds a connection; `auto`: an error in
    debug mode and tests."""
    statistics: bool = True
    """Count and time what the pool does."""
    connect_timeout: float = Field(1.0, gt=0, le=60)
    """For the TCP connection, and for each answer of the server until it is signed in."""
    read_timeout: float = Field(15.0, gt=0, le=3600)
    write_timeout: float = Field(15.0, gt=0, le=3600)
    statement_timeout: float = Field(10.0, gt=0, le=3600)
    """The server ends a longer statement (MySQL: SELECT only; MariaDB: every one)."""
    check: BootCheck = "strict"
    """At boot: `strict` refuses to start where a check fails, `warn` says so and starts, `off` does not look."""
    tls: TlsMode = "auto"
    """`auto`: off on this machine, required elsewhere."""
    tls_ca: Path | None = None
    """The certificate authority that the server's certificate is checked against."""

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if self.read_timeout <= self.statement_timeout:
            raise ValueError(
                f"POOL_READ_TIMEOUT is {self.read_timeout:g} s but a statement may take "
                f"POOL_STATEMENT_TIMEOUT = {self.statement_timeout:g} s: legal statements would be cut off. "
                "Set POOL_READ_TIMEOUT above it."
            )
        if self.size is not None and self.keep > self.size:
            raise ValueError(
                f"POOL_KEEP is {self.keep} but a pool has only POOL_SIZE = {self.size} connections: "
                "so many can never lie idle. Set POOL_KEEP to that or less."
            )
        if self.timeout > self.deadline:
            raise ValueError(
                f"POOL_TIMEOUT is {self.timeout:g} s but a whole request has only POOL_DEADLINE = "
                f"{self.deadline:g} s: it could spend all of it waiting. Set POOL_TIMEOUT below it."
            )
        if self.tls_ca is not None:
            if self.tls == "off":
                raise ValueError("POOL_TLS_CA is set but POOL_TLS is off: remove one of the two.")
            if not self.tls_ca.is_file():
                raise ValueError(f"POOL_TLS_CA names {self.tls_ca}, which is not a file.")
        return self
