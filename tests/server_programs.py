"""Where a database server's program comes from: this machine, or Debian's packages, unpacked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Flavour = Literal["mysql", "mariadb"]

PROJECT = Path(__file__).resolve().parent.parent
PACKAGES = {"mysql": ["mysql-server-core"], "mariadb": ["mariadb-server-core"]}
NAMES = {"mysql": "mysqld", "mariadb": "mariadbd"}


@dataclass(frozen=True)
class Program:
    """How to call a server: the words of the command, and the options it needs to find its files."""

    flavour: Flavour
    command: tuple[str, ...]
    options: tuple[str, ...]
    share: Path
    version: str


def cache_folder() -> Path:
    """Return the folder that all clones on this machine share (.ci/environment.py uses it too)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "poolproof"


def find_program(flavour: Flavour) -> Program:
    """Return the server on the PATH if it is of this flavour, otherwise Debian's, fetched once."""
    if found := _on_path(flavour):
        return found
    command = [sys.executable, str(PROJECT / ".ci" / "debian.py"), str(cache_folder() / flavour), *PACKAGES[flavour]]
    root = Path(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip())
    return _unpacked(flavour, root)


def _on_path(flavour: Flavour) -> Program | None:
    path = shutil.which(NAMES[flavour])
    if path is None or _is_mariadb(version := _version((path,))) != (flavour == "mariadb"):
        return None
    prefix = Path(path).resolve().parent.parent
    share = next(
        (folder for folder in (prefix / "share" / flavour, prefix / "share" / "mysql") if folder.is_dir()), prefix
    )
    return Program(flavour, (path,), (), share, _number(version))


def _unpacked(flavour: Flavour, root: Path) -> Program:
    # The packages are newer than the machine, so they run on their own C library, through its loader.
    loader = next(iter(sorted(root.glob("usr/lib/*/ld-linux-*.so.*")) + sorted(root.glob("usr/lib64/ld-linux-*.so.*"))))
    libraries = next(root.glob("usr/lib/*-linux-gnu"))
    command = (str(loader), "--library-path", str(libraries), str(root / "usr" / "sbin" / NAMES[flavour]))
    share = root / "usr" / "share" / flavour
    plugins = root / "usr" / "lib" / "mysql" / "plugin"
    options = (f"--basedir={root / 'usr'}", f"--lc-messages-dir={share}", f"--plugin-dir={plugins}")
    if flavour == "mariadb":
        options = (*options, f"--character-sets-dir={share / 'charsets'}")
    return Program(flavour, command, options, share, _number(_version(command)))


def _version(command: tuple[str, ...]) -> str:
    return subprocess.run([*command, "--no-defaults", "--version"], check=True, capture_output=True, text=True).stdout


def _is_mariadb(version: str) -> bool:
    return "mariadb" in version.lower()


def _number(version: str) -> str:
    found = re.search(r"Ver (\d+\.\d+\.\d+)", version)
    return found[1] if found else version.strip()
