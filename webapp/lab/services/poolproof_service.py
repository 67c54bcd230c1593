"""Poolproof as it is deployed: `poolproof serve`, Gunicorn and all, in processes of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from webapp.lab.services.processes import HOST, children, free_port, start, stop, tail
from webapp.lab.services.service_process import PROCESS_KIND, STOP_TIMEOUT, NotServingError, wait_until_ready
from webapp.settings import OFF, PROJECT_ROOT, child_environment

POOLPROOF_COMMAND = (sys.executable, "-m", "webapp")
AUTHORS_PASSWORD = "the first author's password"  # noqa: S105 - of databases for tests
"""Password of the author in a database that was prepared in advance, not by the first start of a service."""
COMMON_SETTINGS: dict[str, str] = {}
"""Settings of every service that is started here, unless its own say otherwise: a whole run can try another one."""


class PoolproofService:
    """A running service. In a `command` other than `poolproof serve`, `{port}` stands for the port to listen on."""

    def __init__(
        self,
        database_url: str,
        folder: Path,
        source_folder: Path = PROJECT_ROOT,
        command: Sequence[str] = (),
        /,
        **settings: str,
    ) -> None:
        """Serve a database on free ports.

        Args:
            database_url: The database.
            folder: For the instance folder and the log.
            source_folder: The folder to run in: this checkout, or a copy of it.
            command: Another command than `poolproof serve`.
            settings: POOL_* and POOLPROOF_* variables.

        Raises:
            NotServingError: when it does not start.
        """
        folder.mkdir(parents=True, exist_ok=True)
        binds = {"POOLPROOF_BIND": f"{HOST}:{free_port()}", "POOLPROOF_CONSOLE_BIND": f"{HOST}:{free_port()}"}
        self.environment = make_environment(database_url, folder, **{**binds, **settings})
        self.address = f"http://{self.environment['POOLPROOF_BIND']}"
        self.port = int(self.address.rpartition(":")[2])
        console = self.environment["POOLPROOF_CONSOLE_BIND"]
        self.console = "" if console == OFF else f"http://{console}"
        """Address of the console; empty when there is none."""
        self.project = source_folder
        self.log = folder / "log"
        self.log.write_bytes(b"")
        self._command = [part.format(port=self.port) for part in command or (*POOLPROOF_COMMAND, "serve")]
        self.process: subprocess.Popen[bytes]
        self.start()

    def start(self) -> None:
        """Start at the same addresses, and return when the service answers.

        Raises:
            NotServingError: when it does not.
        """
        self.process = start(PROCESS_KIND, self._command, self.log, self.environment, self.project)
        try:
            wait_until_ready("The service", self.process, self.log, self.port, "/healthz")
        except NotServingError:
            stop(self.process, STOP_TIMEOUT)
            raise

    def stop(self) -> None:
        """Shut down in order and wait for the end.

        Raises:
            NotServingError: when it did not end and was killed.
        """
        if not stop(self.process, STOP_TIMEOUT):
            raise NotServingError(f"The service did not end. Its log ends:\n{tail(self.log)}")

    def reload(self) -> None:
        """Tell Gunicorn to replace its workers by new ones (HUP)."""
        self.process.send_signal(signal.SIGHUP)

    def workers(self) -> list[int]:
        """Return the process ids of its workers, the oldest first."""
        return children(self.process.pid)

    def kill_worker(self) -> int:
        """Kill the oldest worker; return its process id."""
        victim = self.workers()[0]
        os.kill(victim, signal.SIGKILL)
        return victim

    @property
    def password(self) -> str:
        """The first author's password: the one printed at the first start, else that of a prepared database."""
        printed = re.search(r"password +(\S+)", self.log.read_text())
        return printed[1] if printed else AUTHORS_PASSWORD

    def run_command(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run `poolproof` with the service's own environment and this standard input."""
        return run_poolproof(self.environment, *arguments, stdin=stdin)


@contextmanager
def run_poolproof_service(
    database_url: str,
    folder: Path,
    source_folder: Path = PROJECT_ROOT,
    command: Sequence[str] = (),
    /,
    **settings: str,
) -> Iterator[PoolproofService]:
    """Serve until the block ends; the arguments are those of `PoolproofService`."""
    service = PoolproofService(database_url, folder, source_folder, command, **settings)
    try:
        yield service
    finally:
        service.stop()


def make_environment(database_url: str, instance: Path, **settings: str) -> dict[str, str]:
    """Return the environment of a service with these settings and none of this process's."""
    return child_environment({**_service_variables(database_url, instance), **settings}, inherit_settings=False)


def inherited_environment(database_url: str, instance: Path, **settings: str) -> dict[str, str]:
    """Return the environment of a service that has this process's settings, and these in place of some of them."""
    variables = {"POOLPROOF_OTLP_ENDPOINT": "", **_service_variables(database_url, instance)}
    return child_environment({**variables, **settings}, import_from=PROJECT_ROOT)


def _service_variables(database_url: str, instance: Path) -> dict[str, str]:
    # No collector, unless the settings ask for one: a process less where no caller looks at collections.
    return {
        "DATABASE_URL": database_url,
        "POOLPROOF_INSTANCE": str(instance),
        "POOLPROOF_COLLECTOR_PROCESSES": "0",
        **COMMON_SETTINGS,
    }


def run_poolproof(environment: Mapping[str, str], *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run `poolproof` as an operator would, with this standard input."""
    return subprocess.run(  # noqa: S603 - our own command
        [*POOLPROOF_COMMAND, *arguments],
        cwd=PROJECT_ROOT,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
