"""Execution options that the unit of work sets on a Connection and that engines act on."""

from __future__ import annotations

READ_ONLY = "poolproof_read_only"
"""The connection only reads: it needs no transaction, and may not write."""

AUTOCOMMIT = "poolproof_autocommit"
"""Every statement of the connection is a transaction of its own."""

WRITES = "poolproof_writes"
"""What records the writes of a unit of work; see `transactions.outcomes`."""

TRANSACTION = "poolproof_transaction"
"""A transaction begins with the first statement, also where the engine was created in autocommit mode."""
