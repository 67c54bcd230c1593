"""Programs that refuse to run as root, run as another user all the same.

PostgreSQL and PgBouncer refuse root. Where this process is root, they run as `nobody`, but keep the right to read and
write any file: what they are unpacked into, and the folders of tests, are root's alone. Where this process is an
ordinary user, they run as that one.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

NOBODY = 65534
"""The user and the group of that name on Debian and its kin."""
_CAPABILITY = "+dac_override"


def unprivileged(command: Sequence[str]) -> list[str]:
    """Return the command that runs `command` as an ordinary user.

    The program is killed when this process ends: the kernel forgets that wish where a process changes its user, so it
    is said again.
    """
    if os.geteuid() != 0:
        return list(command)
    user = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    rights = [f"--inh-caps={_CAPABILITY}", f"--ambient-caps={_CAPABILITY}"]
    return [shutil.which("setpriv") or "/usr/bin/setpriv", *user, *rights, "--pdeathsig=KILL", "--", *command]


def give_away(*paths: Path) -> None:
    """Let `nobody` own these files and folders, with all that is in them, where this process is root."""
    if os.geteuid() != 0:
        return
    for path in paths:
        for each in (path, *path.rglob("*")):
            os.chown(each, NOBODY, NOBODY, follow_symlinks=False)
