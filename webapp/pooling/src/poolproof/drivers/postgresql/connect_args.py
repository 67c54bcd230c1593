"""What libpq is called with: a bounded connect, TLS decided once, and the session as the pool owns it.

The session's parameters travel with the connect, so they cost no round trip, and RESET, DISCARD ALL and the end of a
transaction bring back these values and not the server's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sqlalchemy import URL

from poolproof.drivers.mysql import tls
from poolproof.own_settings import is_utc
from poolproof.settings import PoolSettings

MIN_CONNECT_TIMEOUT = 2
"""Seconds; libpq takes whole ones, and no fewer."""


def session_parameters(settings: PoolSettings) -> dict[str, str]:
    """Return the parameters of a session that the pool owns; times are in milliseconds.

    UTC, and what decides the meaning of a statement or of its result; a statement, a wait for a lock and a transaction
    in which nothing happens are ended by the server.
    """
    return {
        **({"TimeZone": "UTC"} if is_utc(settings) else {}),
        "DateStyle": "ISO, MDY",
        "IntervalStyle": "postgres",
        "standard_conforming_strings": "on",
        "default_transaction_isolation": "read committed",
        "default_transaction_deferrable": "off",
        "statement_timeout": _to_milliseconds(settings.statement_timeout),
        "lock_timeout": _to_milliseconds(settings.lock_wait_timeout),
        # A transaction that is idle for as long as a whole request may take is held by mistake.
        "idle_in_transaction_session_timeout": _to_milliseconds(settings.request_deadline),
    }


def connect_args(settings: PoolSettings, url: URL) -> dict[str, Any]:
    """Return libpq's arguments for sessions that the pool owns; what the URL says about them goes before ours."""
    arguments: dict[str, Any] = {
        "connect_timeout": max(MIN_CONNECT_TIMEOUT, math.ceil(settings.connect_timeout)),
        "client_encoding": "utf8",
        **_tls_arguments(settings, url),
    }
    ours = {name: value for name, value in arguments.items() if name not in url.query}
    return {**ours, "options": _options(session_parameters(settings), url.query)}


def _options(parameters: Mapping[str, str], query: Mapping[str, Any]) -> str:
    """Return the parameters as command line options; a later one wins, so those of the URL come last."""
    words = [f"-c {name}={_escape(value)}" for name, value in parameters.items()]
    if given := query.get("options"):
        words.append(str(given))
    return " ".join(words)


def _tls_arguments(settings: PoolSettings, url: URL) -> dict[str, Any]:
    if not tls.is_enabled(settings, url):
        # By default libpq asks for TLS first, and is told no: a round trip.
        return {"sslmode": "disable"}
    if settings.tls_ca is None:
        return {"sslmode": "require"}
    return {"sslmode": "verify-ca", "sslrootcert": str(settings.tls_ca)}


def _to_milliseconds(seconds: float) -> str:
    return str(max(1, int(seconds * 1000)))


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
