"""What the connection layer refuses, in sentences an operator can act on."""

from __future__ import annotations


class PoolConfigurationError(Exception):
    """A setting that cannot work with this database; the text says why and what to set."""
