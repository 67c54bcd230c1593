"""The names of settings: former and misspelt ones, and those that other programs know and that have no effect here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

RENAMED = {
    "POOL_OVERFLOW": "POOL_MAX_OVERFLOW",
    "POOL_BACKGROUND": "POOL_BACKGROUND_SIZE",
    "POOL_NESTING": "POOL_MAX_CONNECTIONS_PER_REQUEST",
    "POOL_KEEP": "POOL_MIN_IDLE",
    "POOL_RETIRE_AFTER": "POOL_MAX_IDLE",
    "POOL_PING_AFTER": "POOL_PING_IDLE_AFTER",
    "POOL_PING_EVERY": "POOL_KEEPALIVE_INTERVAL",
    "POOL_WATCH_AFTER": "POOL_LEAK_THRESHOLD",
    "POOL_SHED_TARGET": "POOL_CODEL_TARGET",
    "POOL_SHED_INTERVAL": "POOL_CODEL_INTERVAL",
    "POOL_DEADLINE": "POOL_REQUEST_DEADLINE",
    "POOL_GUARD": "POOL_BLOCKING_GUARD",
    "POOL_CHECK": "POOL_BOOT_CHECK",
    "POOL_STATISTICS": "POOL_METRICS",
    "POOLPROOF_LARGEST_IMPORT": "POOLPROOF_MAX_IMPORT_MIB",
    "POOLPROOF_SOURCES": "POOLPROOF_SOURCES_DIR",
    "POOLPROOF_CONTACT": "POOLPROOF_COLLECTOR_CONTACT",
    "POOLPROOF_COLLECTORS": "POOLPROOF_COLLECTOR_PROCESSES",
    "POOLPROOF_WRITES_PER_SECOND": "POOLPROOF_PLAYER_RATE_LIMIT",
    "POOLPROOF_ATTEMPT_HOURS": "POOLPROOF_ATTEMPT_TTL_HOURS",
    "POOLPROOF_TOKEN_HOURS": "POOLPROOF_API_TOKEN_TTL_HOURS",
    "POOLPROOF_OTLP_SECONDS": "POOLPROOF_OTLP_INTERVAL",
    "POOLPROOF_OPENTDB_ADDRESS": "POOLPROOF_OPENTDB_URL",
    "POOLPROOF_OPENTDB_SPACING": "POOLPROOF_OPENTDB_MIN_INTERVAL",
}
"""Former names of settings, which are refused, and their present names."""

NAMES_ELSEWHERE = {
    "WEB_CONCURRENCY": "POOLPROOF_WORKERS",
    "GUNICORN_WORKERS": "POOLPROOF_WORKERS",
    "GUNICORN_THREADS": "POOLPROOF_THREADS",
    "LOG_LEVEL": "POOLPROOF_LOG_LEVEL",
    "SECRET_KEY": "POOLPROOF_SECRET_KEY",
    "FLASK_SECRET_KEY": "POOLPROOF_SECRET_KEY",
    "SQLALCHEMY_DATABASE_URI": "DATABASE_URL",
}
"""Variables of other programs, which people set in the belief that they are read here."""

SIMILAR, NEARLY_THE_SAME = 0.75, 0.85
"""How much two names have to be alike: one that begins as ours do, and any other (difflib's ratio)."""


def unknown(variable: str, known: Iterable[str]) -> str:
    """Return what to do about a variable that begins as our settings do and is none."""
    if variable in RENAMED:
        return f"{variable} is called {RENAMED[variable]} now: rename it."
    nearest = get_close_matches(variable, known, 1, SIMILAR)
    hint = f" (is it {nearest[0]}?)" if nearest else ""
    return f"{variable} is not a setting of Poolproof{hint}: correct its name or remove it."


def without_effect(environment: Mapping[str, str], known: Iterable[str]) -> list[str]:
    """Return a sentence for each variable that was meant as a setting, by its looks, and is not read.

    It may be another program's, so it is no error.
    """
    settings = list(known)
    notes = []
    for name in environment:
        if name.upper() in settings or not environment[name]:
            continue
        meant = NAMES_ELSEWHERE.get(name) or next(iter(get_close_matches(name, settings, 1, NEARLY_THE_SAME)), None)
        if meant is not None and not environment.get(meant):
            notes.append(f"{name} has no effect: if it is meant for Poolproof, call it {meant}.")
    return notes
