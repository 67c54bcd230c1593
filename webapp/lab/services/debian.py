"""Programs from Debian packages, unpacked once into the cache by .ci/debian.py; for tests and benches."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from webapp.settings import PROJECT_ROOT, environment

LOADERS = ("usr/lib/*/ld-linux-*.so.*", "usr/lib64/ld-linux-*.so.*", "lib64/ld-linux-*.so.*")
LIBRARIES = ("usr/lib/*-linux-gnu", "lib/*-linux-gnu")


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
    # Before Debian 13 a part of the libraries is in /lib, which is a folder of its own there.
    loader = next(path for pattern in LOADERS for path in sorted(root.glob(pattern)))
    libraries = [str(folder) for pattern in LIBRARIES for folder in sorted(root.glob(pattern))]
    return (str(loader), "--library-path", ":".join(libraries), str(program))


def find_promtool() -> tuple[str, ...]:
    """Return the command of Prometheus's promtool: the one on the PATH, otherwise Debian's."""
    if path := shutil.which("promtool"):
        return (path,)
    root = unpack_packages("prometheus", "prometheus")
    return loader_command(root, root / "usr" / "bin" / "promtool")
