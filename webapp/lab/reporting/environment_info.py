"""Describes where something was measured: machine, libraries, database, configuration."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from flask import current_app, has_app_context
from sqlalchemy.exc import SQLAlchemyError

from poolproof.capacity.server_info import read_server_info
from poolproof.integrations.flask_ext import get_pooling
from poolproof.settings import changed_settings, variable
from webapp.settings import Settings

LIBRARIES = ("poolproof", "flask", "sqlalchemy", "flask-sqlalchemy", "pymysql", "gunicorn", "numpy", "matplotlib")
GIBIBYTE = 2**30


def describe_environment() -> dict[str, str]:
    """Return the environment of this process; within an app's context also the database and the configuration."""
    environment = {
        "Machine": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "Processor": f"{len(os.sched_getaffinity(0))} usable of {os.cpu_count()}{_cpu_model()}",
        "Memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / GIBIBYTE:.1f} GiB",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "Libraries": ", ".join(_library_versions()),
    }
    if has_app_context():
        settings: Settings = current_app.config["SETTINGS"]
        environment["Database"] = f"{_describe_database()}, {settings.redacted_database_url}"
        environment["Configuration"] = ", ".join(_changed_settings(settings)) or "defaults"
    return environment


def _cpu_model() -> str:
    # Only Linux has this file.
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return f", {line.partition(':')[2].strip()}"
    return ""


def _library_versions() -> list[str]:
    versions = []
    for name in LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            versions.append(f"{name} {metadata.version(name)}")
    return versions


def _describe_database() -> str:
    try:
        with get_pooling().console.read() as connection:
            server = read_server_info(connection)
    except SQLAlchemyError:
        return "not reachable"
    return f"{server.flavour} {server.version}"


def _changed_settings(settings: Settings) -> list[str]:
    """Return the settings that differ from the defaults, without the secret key."""
    pool = [f"{variable(name)}={value}" for name, value in sorted(changed_settings(settings.pool).items())]
    service = settings.poolproof
    names = sorted(service.model_fields_set - {"secret_key", "instance"})
    return [*pool, *(f"POOLPROOF_{name.upper()}={getattr(service, name)}" for name in names)]
