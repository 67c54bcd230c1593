"""Unpack Debian packages into a folder, without root and without touching the system.

    python3 .ci/debian.py FOLDER PACKAGE... [--suite sid]

The mirror is the one that this machine's own apt uses. The packages come with all they
depend on, and are unpacked, not installed: their programs run through their own dynamic
loader (see webapp/lab/services/debian.py), so that they may be newer than the machine.
"""

from __future__ import annotations

import argparse
import fcntl
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)


class UnpackError(Exception):
    """The packages could not be had; the text says what and what to do."""


def unpack(packages: Sequence[str], folder: Path, suite: str = "sid") -> Path:
    """Unpack the packages and all they depend on under `folder` and return it.

    A folder that is there is complete: it is made beside and renamed. Two processes that
    want it at once wait for each other.

    Raises:
        UnpackError: when apt is missing or its mirror cannot be reached.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            return folder
        for tool in ("apt-get", "dpkg-deb"):
            if shutil.which(tool) is None:
                raise UnpackError(
                    f"{tool} is not here: {', '.join(packages)} can be fetched on Debian and its kin only."
                )
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as work:
            root = Path(work) / "root"
            root.mkdir()
            for archive in _fetch(packages, Path(work), suite):
                _run(["dpkg-deb", "-x", str(archive), str(root)])
            root.rename(folder)
    return folder


def mirror() -> str:
    """Return the address of the Debian mirror that this machine uses.

    Raises:
        UnpackError: when apt knows none.
    """
    folder = Path("/etc/apt")
    for path in sorted(folder.glob("sources.list.d/*.sources")):
        for stanza in path.read_text().split("\n\n"):
            fields = dict(
                line.split(":", 1) for line in stanza.splitlines() if ":" in line and not line.startswith("#")
            )
            if "debian-archive-keyring" in fields.get("Signed-By", "") and "security" not in fields.get("Suites", ""):
                return fields["URIs"].split()[0]
    for path in [folder / "sources.list", *sorted(folder.glob("sources.list.d/*.list"))]:
        for line in path.read_text().splitlines() if path.is_file() else []:
            words = [word for word in line.split() if not word.startswith(("[", "signed-by", "arch=")) and word != "]"]
            if words[:1] == ["deb"] and "main" in words[3:] and "security" not in words[2]:
                return words[1]
    raise UnpackError(
        "apt on this machine names no Debian mirror (looked into /etc/apt/sources.list and sources.list.d)."
    )


def _fetch(packages: Sequence[str], work: Path, suite: str) -> list[Path]:
    """Download the packages with what they depend on; return the archives."""
    for name in ("lists/partial", "archives/partial", "archives-out"):
        (work / name).mkdir(parents=True)
    (work / "status").touch()
    keyring = next((path for path in KEYRINGS if path.is_file()), None)
    trust = f"signed-by={keyring}" if keyring else "trusted=yes"
    if keyring is None:
        print("debian.py: no Debian keyring on this machine, the packages' signatures are not checked", file=sys.stderr)
    (work / "sources.list").write_text(f"deb [{trust}] {mirror()} {suite} main\n")
    options = {
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State::lists": work / "lists",
        "Dir::State::status": work / "status",
        "Dir::Cache": work,
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        # As root apt would hand over to an account that cannot write here.
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
    }
    apt = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    _run(["apt-get", *apt, "-qq", "update"])
    no = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
    tree = _run(["apt-cache", *apt, "depends", "--recurse", *(f"--no-{kind}" for kind in no), *packages])
    names = sorted({line.strip() for line in tree.splitlines() if line[:1].isalnum()})
    _run(["apt-get", *apt, "-qq", "download", *names], folder=work / "archives-out")
    return sorted((work / "archives-out").glob("*.deb"))


def _run(command: list[str], folder: Path | None = None) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnpackError(
            f"{command[0]} failed; is this machine on the network, and does its apt work?\n"
            f"  command: {' '.join(command)}\n  {done.stderr.strip()}"
        )
    return done.stdout


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Unpack Debian packages into a folder, without root.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("packages", nargs="+")
    parser.add_argument("--suite", default="sid")
    asked = parser.parse_args()
    try:
        print(unpack(asked.packages, asked.folder.absolute(), asked.suite))
    except UnpackError as error:
        sys.exit(f"debian.py: {error}")


if __name__ == "__main__":
    main()
