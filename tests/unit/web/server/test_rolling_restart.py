"""Workers are replaced while a server is asked again and again; the application takes a while to load."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.support.echo_server import echo_server
from tests.support.waiting import wait_until
from webapp.lab.services.processes import children
from webapp.lab.services.service_process import RunningService

LOADING = 1.5
"""Seconds for which the application is loaded."""
CONFIGURATION = """
from webapp.web.server.rolling_restart import adopt, install, report_ready
on_starting, pre_fork, post_worker_init = install, adopt, report_ready
"""
APPLICATION = f"""
import os, time
time.sleep({LOADING})
def app(environ, start_response):
    body = f"{{os.getpid()}} VERSION".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
MAX_REQUESTS = 60


class Replaced:
    """A server whose workers are replaced, and a client that asks it all the time."""

    def __init__(self, folder: Path, service: RunningService) -> None:
        self.folder, self.service = folder, service
        self.done = threading.Event()
        self.longest = 0.0
        self.seen: set[int] = set()
        self.together = 0
        """The largest number of workers at a time."""

    def ask(self) -> str:
        """Ask on a new connection; return the answer."""
        started_at = time.monotonic()
        answer = httpx2.get(f"http://127.0.0.1:{self.service.port}/", timeout=30, headers={"Connection": "close"})
        assert answer.status_code == 200
        self.longest = max(self.longest, time.monotonic() - started_at)
        self.seen.add(int(answer.text.split()[0]))
        self.together = max(self.together, len(self.workers()))
        return answer.text

    def keep_asking(self) -> None:
        while not self.done.is_set():
            self.ask()

    def workers(self) -> list[int]:
        return children(self.service.pid)

    def change(self, text: str) -> None:
        (self.folder / "application.py").write_text(text)

    def log(self) -> str:
        return self.service.log.read_text()


@contextmanager
def replaced(folder: Path, workers: int, *options: str) -> Iterator[Replaced]:
    (folder / "application.py").write_text(APPLICATION)
    (folder / "configuration.py").write_text(CONFIGURATION)
    more = ("--workers", str(workers), "--config", "configuration.py", "--log-level", "info", *options)
    with echo_server(folder, *more, application="application:app") as service:
        server = Replaced(folder, service)
        with ThreadPoolExecutor(2) as clients:
            asking: list[Future[None]] = [clients.submit(server.keep_asking) for _ in range(2)]
            try:
                wait_until(lambda: len(server.seen) == workers or asking[0].done())
                yield server
            finally:
                server.done.set()
        assert [future.exception() for future in asking] == [None, None]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_reload_replaces_each_worker_when_another_serves(tmp_path: Path, workers: int) -> None:
    with replaced(tmp_path, workers) as server:
        before = set(server.workers())
        server.change(APPLICATION.replace("VERSION", "new"))
        os.kill(server.service.pid, signal.SIGHUP)
        wait_until(lambda: not before & set(server.workers()) and len(server.workers()) == workers)
        assert "new" in server.ask()
        assert server.together <= 2 * workers
    assert server.longest < LOADING, "nobody waited until the application was loaded"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_is_told_to_stop_serves_until_another_does(tmp_path: Path, workers: int) -> None:
    with replaced(tmp_path, workers) as server:
        victim = server.workers()[0]
        os.kill(victim, signal.SIGTERM)
        wait_until(lambda: victim not in server.workers())
        assert len(server.workers()) == workers
    assert server.longest < LOADING


def test_told_twice_it_stops_at_once(tmp_path: Path) -> None:
    with replaced(tmp_path, 2) as server:
        victim = server.workers()[0]
        os.kill(victim, signal.SIGTERM)
        time.sleep(0.1)
        os.kill(victim, signal.SIGTERM)
        wait_until(lambda: victim not in server.workers())
        wait_until(lambda: len(server.workers()) == 2)
        server.ask()


def test_workers_that_have_had_their_requests_are_replaced_one_at_a_time(tmp_path: Path) -> None:
    with replaced(tmp_path, 2, "--max-requests", str(MAX_REQUESTS)) as server:
        before = set(server.workers())
        wait_until(lambda: not before & set(server.workers()))
        assert server.together <= 4
    replacements = [line for line in server.log().splitlines() if "in place of" in line or "Worker exiting" in line]
    kinds = ["end" if "exiting" in line else "new" for line in replacements]
    assert kinds[:2] == ["new", "end"], "one serves before another ends"
    assert server.longest < LOADING


def test_what_cannot_be_loaded_replaces_nobody(tmp_path: Path) -> None:
    with replaced(tmp_path, 2) as server:
        before = set(server.workers())
        server.change("raise ValueError('broken')")
        os.kill(server.service.pid, signal.SIGHUP)
        wait_until(lambda: "go on serving" in server.log())
        assert set(server.workers()) == before
        server.change(APPLICATION)
        os.kill(server.service.pid, signal.SIGHUP)
        wait_until(lambda: not before & set(server.workers()))


def test_a_configuration_that_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    with replaced(tmp_path, 1) as server:
        before = server.workers()
        (tmp_path / "configuration.py").write_text("raise ValueError('broken')")
        os.kill(server.service.pid, signal.SIGHUP)
        wait_until(lambda: "nothing changes" in server.log())
        assert server.workers() == before
        server.ask()


def test_a_worker_that_dies_is_replaced_as_ever(tmp_path: Path) -> None:
    with replaced(tmp_path, 2) as server:
        server.done.set()
        victim = server.workers()[0]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: victim not in server.workers() and len(server.workers()) == 2)
