"""What a lease on a database's set-up is, and how a start waits for another that has it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import click
from sqlalchemy import Connection

WAIT_FOR_OTHERS = 600.0
"""Seconds that a start waits for another one that has the lease."""
POLL_INTERVAL = 0.5


class MigrationError(Exception):
    """The database cannot be brought up to date now; the text says why and what to do."""


class Lease(Protocol):
    """The right to change a database's tables."""

    def check(self) -> None:
        """Make sure that the lease is still this process's; called before each step.

        Raises:
            MigrationError: when it is not.
        """

    def lock(self, connection: Connection) -> None:
        """Let nobody take the lease over until this connection's transaction ends.

        Raises:
            MigrationError: when the lease is another's.
        """

    def set_unfinished(self, revision: str | None) -> None:
        """Note which migration has begun, up or down; None when it has ended.

        Raises:
            MigrationError: when the lease is another's.
        """

    def protect(self, connection: Connection) -> None:
        """Break this connection when the lease is lost, so that no statement waits for a server that is gone."""


def wait_for_lease(take: Callable[[], str | None]) -> None:
    """Call `take` until it returns None; it returns who has the lease instead."""
    deadline, is_told = time.monotonic() + WAIT_FOR_OTHERS, False
    while (holder := take()) is not None:
        if time.monotonic() > deadline:
            raise MigrationError(
                f"Another process has been setting up this database for {WAIT_FOR_OTHERS:g} s ({holder}). Nothing was "
                "done; start again when it has ended."
            )
        if not is_told:
            click.echo(
                f"Another process is setting up this database ({holder}); waiting for it, {WAIT_FOR_OTHERS:g} s at "
                "most.",
                err=True,
            )
            is_told = True
        time.sleep(POLL_INTERVAL)
