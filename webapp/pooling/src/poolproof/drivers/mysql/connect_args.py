"""What PyMySQL is called with: every wait bounded, and TLS decided once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL

from poolproof.drivers.mysql import tls
from poolproof.settings import PoolSettings


def connect_args(settings: PoolSettings, url: URL) -> dict[str, Any]:
    """Return PyMySQL's arguments: every wait is bounded and TLS is decided once."""
    arguments: dict[str, Any] = {
        "connect_timeout": settings.connect_timeout,
        # Until it is authenticated; `init_session` lengthens it. A peer that accepts and stays mute costs no more.
        "read_timeout": settings.connect_timeout,
        "write_timeout": settings.write_timeout,
        "charset": "utf8mb4",
        "autocommit": True,
    }
    if tls.is_enabled(settings, url):
        arguments["ssl"] = tls.shared_ssl_context(settings.tls_ca)
    else:
        # Otherwise PyMySQL builds an SSL context at every connect: 28 ms instead of 0.5.
        arguments["ssl_disabled"] = True
    return arguments
