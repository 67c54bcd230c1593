"""A reload (HUP) serves new code, and costs nobody a request."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import httpx

from tests.support import PROJECT
from webapp.lab.services.poolproof_service import serving

PATIENCE = 30.0
"""Seconds: Gunicorn stops the old workers before the new ones are there, which takes a slow machine a while."""


def test_a_reload_under_load_serves_the_new_code_and_fails_no_request(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for name in ("webapp", "migrations"):
        shutil.copytree(PROJECT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("wsgi.py", "gunicorn.conf.py"):
        shutil.copy(PROJECT / name, copy / name)
    errors = copy / "webapp" / "errors.py"
    statuses: Counter[int] = Counter()
    done = threading.Event()

    with serving(f"sqlite:///{tmp_path / 'reload.sqlite'}", tmp_path / "instance", copy) as service:

        def visit() -> None:
            while not done.is_set():
                # A connection of its own for each request: a kept one may be closed between two, which is no failure.
                statuses[httpx.get(f"{service.address}/api/v1/quizzes", timeout=PATIENCE).status_code] += 1

        visitors = [threading.Thread(target=visit) for _ in range(4)]
        for visitor in visitors:
            visitor.start()
        before = httpx.get(f"{service.address}/problems", timeout=PATIENCE).text
        errors.write_text(errors.read_text().replace("That name is taken.", "Somebody has that name."))
        service.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE
        while "Somebody has" not in (after := httpx.get(f"{service.address}/problems", timeout=PATIENCE).text):
            assert time.monotonic() < deadline, "the old code is still served"
            time.sleep(0.1)
        done.set()
        for visitor in visitors:
            visitor.join()
    assert "That name is taken." in before
    assert "That name is taken." not in after
    assert set(statuses) == {200}
