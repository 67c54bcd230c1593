"""Child processes: started so that they end with this one, stopped in order, and their logs; free ports."""

from __future__ import annotations

import ctypes
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

HOST = "127.0.0.1"
PR_SET_PDEATHSIG = 1
TAIL_LENGTH = 3000
"""Characters of a log that an error message quotes."""
start_counts: Counter[str] = Counter()
"""How many programs of each kind this process has started."""


def start(
    kind: str,
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program that appends to `log`, and count it; by default it inherits this process's environment.

    It leads a process group of its own, so that Ctrl-C reaches only the process that started it, which stops it in
    order. Call it from the main thread: on Linux the program ends when the thread that started it ends.
    """
    start_counts[kind] += 1
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - commands of the caller; the hook does one system call
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            process_group=0, preexec_fn=_die_with_parent,  # noqa: PLW1509
        )  # fmt: skip


def stop(process: subprocess.Popen[bytes], timeout: float) -> bool:
    """Terminate a program and wait for it; kill it after the time-out. Return whether it ended by itself."""
    process.terminate()
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    return True


def children(pid: int) -> list[int]:
    """Return the process ids of a program's children, the oldest first.

    Raises:
        OSError: where the system does not list them, or the program has ended.
    """
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return sorted(int(number) for number in listed.split())


def free_port() -> int:
    """Return a port on which no process listens now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def tail(log: Path) -> str:
    """Return the end of a log."""
    return log.read_text(errors="replace")[-TAIL_LENGTH:] if log.exists() else ""


def _die_with_parent() -> None:
    # A parent that is killed takes its servers with it; systems other than Linux have no such call.
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
