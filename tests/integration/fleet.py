"""The misbehaving app on our own Gunicorn, with several workers, and an operator who is signed in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine

from poolproof.transactions.unit_of_work import UnitOfWork
from tests.support import PROJECT
from tests.support.accounts import OPERATORS_PASSWORD_HASH
from webapp.accounts import users
from webapp.accounts.roles import Role
from webapp.lab.services.console_operator import NAME, PASSWORD, Operator, signed_in
from webapp.lab.services.poolproof_service import run_poolproof_service

__all__ = ["PASSWORD", "Fleet", "eventually", "fleet"]


class Fleet(Operator):
    """A running service and its operator."""

    @property
    def address(self) -> str:
        return self.service.address

    @property
    def console(self) -> str:
        return self.service.console

    @property
    def process(self) -> subprocess.Popen[bytes]:
        return self.service.process

    @property
    def log(self) -> Path:
        return self.service.log

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)


@contextmanager
def fleet(
    url: str, folder: Path, workers: int = 3, app: str = "tests.integration.misbehaving:app", **more: str
) -> Iterator[Fleet]:
    """Serve a schema that has its tables with so many workers; the operator is signed in."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"POOLPROOF_WORKERS": str(workers), "POOL_BOOT_CHECK": "off", "POOLPROOF_THREADS": "4", **more}
    engine = create_engine(url)
    UnitOfWork(engine).run_in_transaction(
        lambda connection: users.add(connection, NAME, OPERATORS_PASSWORD_HASH, Role.OPERATOR)
    )
    engine.dispose()
    command = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", app]
    with run_poolproof_service(url, folder, PROJECT, command, **settings) as service, signed_in(service) as operator:
        running = Fleet(service, operator.client)
        eventually(lambda: len(running.workers()) == workers, running.log)
        yield running


def eventually(what: Callable[[], bool], log: Path | None = None, within: float = 60.0) -> float:
    """Wait until something holds; return how long that took."""
    started_at = time.monotonic()
    while not what():
        assert time.monotonic() < started_at + within, log.read_text()[-3000:] if log else what
        time.sleep(0.05)
    return time.monotonic() - started_at
