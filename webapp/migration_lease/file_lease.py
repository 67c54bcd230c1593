"""The lease on SQLite: a lock on a file beside the database, which ends with the process that holds it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection

from webapp.migration_lease.lease import wait_for_lease


class FileLease:
    """On SQLite: the file is locked as long as the process lives, and migrations are transactions."""

    def check(self) -> None:
        """Do nothing: the lock cannot be lost."""

    def lock(self, connection: Connection) -> None:
        """Do nothing: the lock cannot be lost."""

    def set_unfinished(self, revision: str | None) -> None:
        """Do nothing: a migration that was killed is rolled back."""

    def protect(self, connection: Connection) -> None:
        """Do nothing: there is no server."""


@contextmanager
def hold_file(path: Path) -> Iterator[FileLease]:
    """Hold the lock on a file for a block; see `hold`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Whoever can open the file can hold its lock, and keep every start waiting.
    path.touch(mode=0o600)
    with path.open("w") as file:

        def take() -> str | None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return "it holds the file's lock"
            return None

        wait_for_lease(take)
        yield FileLease()
