"""Finds the program of a database server: a named one, one on the PATH or in usual folders, or Debian's, unpacked."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import Literal

from webapp.lab.services.debian import loader_command, unpack_packages

Flavour = Literal["mysql", "mariadb"]

PROGRAM_NAMES: dict[Flavour, str] = {"mysql": "mysqld", "mariadb": "mariadbd"}
PACKAGE_NAMES: dict[Flavour, str] = {"mysql": "mysql-server-core", "mariadb": "mariadb-server-core"}
NEWEST_SUITE = "sid"
"""Debian's suite with the newest servers."""
# Folders of servers in distributions; they are not on every PATH.
EXTRA_FOLDERS = ("/usr/sbin", "/usr/libexec", "/usr/local/sbin", "/usr/local/mysql/bin", "/opt/homebrew/bin")
NO_PROGRAM_MESSAGE = (
    "There is no MySQL or MariaDB server program: neither mysqld nor mariadbd is on the PATH or in /usr/sbin. "
    "Install one (Debian: apt install mysql-server-core, or mariadb-server-core; it need not run), name it with "
    "--mysqld PATH, or rehearse on a staging server of yours with --against URL --yes."
)


class ServerError(Exception):
    """A database server was not found or failed; the text ends with the server's own message."""


@dataclass(frozen=True)
class Program:
    """A server program: its command, and the options with which it finds its files."""

    flavour: Flavour
    version: str
    """As numbers, e.g. 9.7.0."""
    command: tuple[str, ...]
    options: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The program's file."""
        return self.command[-1]


def find_program(program: str | None = None) -> Program:
    """Return this server program; by default the first on the PATH or in the folders of distributions.

    Raises:
        ServerError: when there is none; the text says what to install.
    """
    names = PROGRAM_NAMES.values()
    candidates = [program] if program else [*names, *(f"{folder}/{name}" for folder in EXTRA_FOLDERS for name in names)]
    path = next(filter(None, map(shutil.which, candidates)), None)
    if path is None:
        raise ServerError(f"{program} is not a program that can be run." if program else NO_PROGRAM_MESSAGE)
    return _program((path,))


def get_program(flavour: Flavour, suite: str = NEWEST_SUITE) -> Program:
    """Return Debian's server of a suite, unpacked once; instead of the newest, the one on the PATH if there is one.

    Raises:
        ServerError: when it does not run.
    """
    is_newest = suite == NEWEST_SUITE
    if is_newest and (path := shutil.which(PROGRAM_NAMES[flavour])) and (found := _program((path,))).flavour == flavour:
        return found
    name = flavour if is_newest else f"{flavour}-{suite}"
    root = unpack_packages(name, PACKAGE_NAMES[flavour], suite=suite)
    # MariaDB before 11 keeps its files in MySQL's folder.
    folders = (root / "usr" / "share" / name for name in (flavour, "mysql"))
    share = next(folder for folder in folders if (folder / "english").is_dir())
    plugins = root / "usr" / "lib" / "mysql" / "plugin"
    options = [f"--basedir={root / 'usr'}", f"--lc-messages-dir={share}", f"--plugin-dir={plugins}"]
    if flavour == "mariadb":
        options.append(f"--character-sets-dir={share / 'charsets'}")
    return _program(loader_command(root, root / "usr" / "sbin" / PROGRAM_NAMES[flavour]), *options)


def _program(command: tuple[str, ...], *options: str) -> Program:
    version_output = subprocess.run(  # noqa: S603 - the operator's choice
        [*command, "--no-defaults", "--version"], capture_output=True, text=True, check=False
    )
    match = re.search(r"Ver (\d+\.\d+\.\d+)", version_output.stdout)
    if version_output.returncode or match is None:
        message = (version_output.stderr or version_output.stdout)[-300:]
        raise ServerError(f"{command[-1]} does not say which server it is: {message}")
    return Program("mariadb" if "mariadb" in version_output.stdout.lower() else "mysql", match[1], command, options)
