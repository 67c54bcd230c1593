"""Holds the lease for a block, on any database."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from sqlalchemy import URL

from poolproof.settings import PoolSettings
from webapp.migration_lease.file_lease import FileLease, hold_file
from webapp.migration_lease.lease import Lease
from webapp.migration_lease.row_lease import hold_row


def hold(url: URL, settings: PoolSettings) -> AbstractContextManager[Lease]:
    """Hold the lease on this database for a block; wait for another process that has it.

    Raises:
        MigrationError: when another process keeps it for `WAIT_FOR_OTHERS`, or it was lost meanwhile.
    """
    if url.get_backend_name() != "sqlite":
        return hold_row(url, settings)
    if url.database in {None, "", ":memory:"}:
        # Nobody else can see such a database.
        return nullcontext(FileLease())
    return hold_file(Path(f"{url.database}.lock"))
