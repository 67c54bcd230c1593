"""Programs from Debian packages, unpacked once into the cache by .ci/debian.py; for tests and benches."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from webapp.settings import PROJECT_ROOT, environment


def cache_folder() -> Path:
    """Return the cache that all checkouts on this machine share (.ci/environment.py uses it, too)."""
    return Path(environment().get("XDG_CACHE_HOME") or Path.home() / ".cache") / "poolproof"


def unpack_packages(name: str, *packages: str, suite: str = "sid") -> Path:
    """Return the folder of the cache in which these packages of Debian are unpacked, with all they depend on."""
    script, folder = PROJECT_ROOT / ".ci" / "debian.py", cache_folder() / name
    command = [sys.executable, str(script), str(folder), *packages, "--suite", suite]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603 - a script of ours
    return Path(done.stdout.strip())


def loader_command(root: Path, program: Path) -> tuple[str, ...]:
    """Return the command that runs an unpacked program with the C library of its own release, not the machine's."""
    loader = next(iter(sorted(root.glob("usr/lib/*/ld-linux-*.so.*")) + sorted(root.glob("usr/lib64/ld-linux-*.so.*"))))
    libraries = next(root.glob("usr/lib/*-linux-gnu"))
    return (str(loader), "--library-path", str(libraries), str(program))


def find_promtool() -> tuple[str, ...]:
    """Return the command of Prometheus's promtool: the one on the PATH, otherwise Debian's."""
    if path := shutil.which("promtool"):
        return (path,)
    root = unpack_packages("prometheus", "prometheus")
    return loader_command(root, root / "usr" / "bin" / "promtool")
