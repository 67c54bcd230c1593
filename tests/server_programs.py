"""Where a program that tests need comes from (a database server, promtool): this machine, or Debian, unpacked."""

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
    return _unpacked(flavour, fetched(flavour, *PACKAGES[flavour]))


def find_promtool() -> tuple[str, ...]:
    """Return the command that runs Prometheus's promtool: the one on the PATH, otherwise Debian's, fetched once."""
    if path := shutil.which("promtool"):
        return (path,)
    root = fetched("prometheus", "prometheus")
    return through_its_loader(root, root / "usr" / "bin" / "promtool")


def fetched(name: str, *packages: str) -> Path:
    """Return the folder of the cache in which these Debian packages are unpacked, with all they depend on."""
    command = [sys.executable, str(PROJECT / ".ci" / "debian.py"), str(cache_folder() / name), *packages]
    return Path(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip())


def through_its_loader(root: Path, program: Path) -> tuple[str, ...]:
    """Return the command that runs an unpacked program: newer than the machine, it needs its own C library."""
    loader = next(iter(sorted(root.glob("usr/lib/*/ld-linux-*.so.*")) + sorted(root.glob("usr/lib64/ld-linux-*.so.*"))))
    libraries = next(root.glob("usr/lib/*-linux-gnu"))
    return (str(loader), "--library-path", str(libraries), str(program))


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
    command = through_its_loader(root, root / "usr" / "sbin" / NAMES[flavour])
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
