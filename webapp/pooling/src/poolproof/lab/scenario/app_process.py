"""The application, started with a pool of the size that is measured, on a free port, and stopped."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from poolproof.lab.scenario.address import Address

HOST = "127.0.0.1"
START_TIMEOUT, STOP_TIMEOUT, POLL_INTERVAL = 60.0, 20.0, 0.05
TAIL_LENGTH = 2000
"""Characters of its output that an error message quotes."""


class AppStartError(Exception):
    """The application does not listen; the text ends with what it has printed."""


class AppProcess:
    """An application that was started, with all processes that it has started itself."""

    def __init__(self, command: str, pool: int, folder: Path) -> None:
        """Start it: `{port}` and `{pool}` in the command, and POOL_SIZE in its environment, are what it has to use.

        Raises:
            AppStartError: when it cannot be started, or does not listen in time.
        """
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self.address = Address("http", HOST, probe.getsockname()[1])
        self._log = folder / "app.log"
        words = [word.format(port=self.address.port, pool=pool) for word in shlex.split(command)]
        if not words or shutil.which(words[0]) is None:
            raise AppStartError(f"{words[0] if words else 'The command'}: there is no such program.")
        # The rest of the environment is this process's.
        variables = [f"POOL_SIZE={pool}", f"PORT={self.address.port}"]
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the user's own command
                ["env", *variables, *words],  # noqa: S607
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,
            )
        self._wait_until_it_listens()

    @property
    def pid(self) -> int:
        """The process id of what was started."""
        return self._process.pid

    def close(self) -> None:
        """Stop it, with all processes of its group."""
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: int) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while self._process.poll() is None and time.monotonic() < deadline:
            with socket.socket() as probe:
                probe.settimeout(POLL_INTERVAL)
                if probe.connect_ex((HOST, self.address.port)) == 0:
                    return
            time.sleep(POLL_INTERVAL)
        self.close()
        printed = self._log.read_text(errors="replace")[-TAIL_LENGTH:]
        raise AppStartError(f"The application does not listen on port {self.address.port}. It printed:\n{printed}")
