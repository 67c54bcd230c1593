"""Describes where something was measured: machine and libraries; a database where there is one."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib import metadata
from pathlib import Path

LIBRARIES = (
    "poolproof", "flask", "sqlalchemy", "flask-sqlalchemy", "pymysql", "psycopg", "psycopg2-binary", "gunicorn",
    "numpy", "matplotlib",
)  # fmt: skip
GIBIBYTE = 2**30


def describe_environment() -> dict[str, str]:
    """Return the environment of this process."""
    return {
        "Machine": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "Processor": f"{len(os.sched_getaffinity(0))} usable of {os.cpu_count()}{_cpu_model()}",
        "Memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / GIBIBYTE:.1f} GiB",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "Libraries": ", ".join(_library_versions()),
    }


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
