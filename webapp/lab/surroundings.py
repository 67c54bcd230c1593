"""Where something was measured: machine, libraries, database, configuration. Numbers mean nothing without it."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from flask import current_app, has_app_context
from sqlalchemy.exc import SQLAlchemyError

from webapp.pooling.extension import pooling_of_this_app
from webapp.pooling.server import read_facts
from webapp.settings import Settings

LIBRARIES = ("poolproof", "flask", "sqlalchemy", "flask-sqlalchemy", "pymysql", "gunicorn", "numpy", "matplotlib")
GIBIBYTE = 2**30


def surroundings() -> dict[str, str]:
    """Return what surrounds this process, as words; the database and the configuration within an app's context."""
    found = {
        "Machine": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "Processor": f"{len(os.sched_getaffinity(0))} usable of {os.cpu_count()}{_model()}",
        "Memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / GIBIBYTE:.1f} GiB",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "Libraries": ", ".join(_versions()),
    }
    if has_app_context():
        settings: Settings = current_app.config["SETTINGS"]
        found["Database"] = f"{_database()}, {settings.shown_database_url}"
        found["Configuration"] = ", ".join(_chosen(settings)) or "defaults"
    return found


def _model() -> str:
    # Not every system has it.
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return f", {line.partition(':')[2].strip()}"
    return ""


def _versions() -> list[str]:
    found = []
    for name in LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            found.append(f"{name} {metadata.version(name)}")
    return found


def _database() -> str:
    try:
        with pooling_of_this_app().console.read() as connection:
            facts = read_facts(connection)
    except SQLAlchemyError:
        return "away"
    return f"{facts.flavour} {facts.version}"


def _chosen(settings: Settings) -> list[str]:
    """What differs from the defaults; the key is nobody's business."""
    parts = (("POOL", settings.pool), ("POOLPROOF", settings.poolproof))
    return [
        f"{prefix}_{name.upper()}={getattr(part, name)}"
        for prefix, part in parts
        for name in sorted(part.model_fields_set - {"secret_key", "instance"})
    ]
