"""Processes that the lab starts: they end with it, and Ctrl-C is for the lab alone."""

from __future__ import annotations

import ctypes
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1


def start(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a program that writes to `log`; without `environment` it has this process's.

    Call it from the main thread: on Linux the program ends when the thread that started it ends.
    """
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - the lab's own commands; the hook does one system call
            command, cwd=folder, env=environment, stdout=output, stderr=output, process_group=0,
            preexec_fn=_end_with_parent,  # noqa: PLW1509
        )  # fmt: skip


def _end_with_parent() -> None:
    # A lab that is killed takes its servers with it; other systems than Linux have no such call.
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
