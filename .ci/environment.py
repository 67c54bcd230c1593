"""Make a virtual environment from a lock file, on a machine that has python3 and nothing else.

    python3 .ci/environment.py VENV LOCKFILE [--without-project]

Debian splits venv's pip off into a package of its own; where it is missing, pip's wheel
is unpacked from Debian's python3-pip-whl instead, and nothing has to be installed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import debian

OLDEST = (3, 11)
PROJECT = Path(__file__).resolve().parent.parent
DISTRIBUTIONS = (PROJECT / "webapp" / "pooling", PROJECT)
"""The connection layer, then the service that needs it."""
MARK = "poolproof-made-from"


def cache_folder() -> Path:
    """Return the folder for what is fetched once and used by every clone."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "poolproof"


def make_environment(venv: Path, lock: Path, *, with_project: bool = True) -> None:
    """Make `venv` hold just what `lock` names, and the project itself; at once when it does already."""
    wanted = _fingerprint(lock)
    mark = venv / MARK
    if mark.is_file() and mark.read_text() == wanted and _runs(venv):
        return
    began = time.monotonic()
    _say(f"making {venv} from {lock.name}")
    shutil.rmtree(venv, ignore_errors=True)
    has_pip = importlib.util.find_spec("ensurepip") is not None
    _run([sys.executable, "-m", "venv", *([] if has_pip else ["--without-pip"]), str(venv)])
    pip = _pip(venv) if has_pip else _pip_of_debian(venv)
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
    _run([*pip, "install", *quiet, "--require-hashes", "--requirement", str(lock)])
    if with_project:
        editable = [argument for folder in DISTRIBUTIONS for argument in ("--editable", str(folder))]
        _run([*pip, "install", *quiet, "--no-deps", "--no-build-isolation", *editable])
    mark.write_text(wanted)
    _say(f"made in {time.monotonic() - began:.0f} s")


def _pip(venv: Path) -> list[str]:
    return [str(venv / "bin" / "python"), "-m", "pip"]


def _pip_of_debian(venv: Path) -> list[str]:
    _say("this Python has no pip; taking Debian's wheel of it")
    unpacked = debian.unpack(["python3-pip-whl"], cache_folder() / "pip")
    wheel = next(unpacked.glob("usr/share/python-wheels/pip-*.whl"))
    # A wheel is a zip file, and pip can be run out of it.
    return [str(venv / "bin" / "python"), str(wheel / "pip")]


def _fingerprint(lock: Path) -> str:
    import tomllib  # noqa: PLC0415 - older Pythons have none, and are refused in a sentence of their own

    settings = [tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8")) for folder in DISTRIBUTIONS]
    # What tools are set to is read when they run; only this part is installed.
    installed = repr([(one["build-system"], one["project"]) for one in settings])
    parts = [sys.version.encode(), str(PROJECT).encode(), lock.read_bytes(), installed.encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _runs(venv: Path) -> bool:
    """Say whether the environment's Python is still there (an upgrade may have taken it away)."""
    return (venv / "bin" / "python").exists()


def _run(command: list[str]) -> None:
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    if done.returncode:
        _say(f"failed: {' '.join(command)}\n{done.stdout}{done.stderr}")
        sys.exit(1)


def _say(text: str) -> None:
    print(f"environment: {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Read the command line."""
    if sys.version_info < OLDEST:
        sys.exit(f"Poolproof needs Python {'.'.join(map(str, OLDEST))} or newer; this is {sys.version.split()[0]}.")
    venv, lock, *options = sys.argv[1:]
    with_project = "--without-project" not in options
    try:
        make_environment((PROJECT / venv).absolute(), (PROJECT / lock).absolute(), with_project=with_project)
    except debian.UnpackError as error:
        sys.exit(f"environment: {error}")


if __name__ == "__main__":
    main()
