"""A reload (HUP) serves new code, and no request fails for it."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import httpx2

from tests.support import PROJECT
from webapp.lab.services.poolproof_service import run_poolproof_service

PATIENCE = 60.0
"""Seconds: Gunicorn stops the old worker before the new one is there, which takes a slow machine a while."""


def test_a_reload_under_load_serves_the_new_code_and_fails_no_request(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for name in ("webapp", "migrations"):
        shutil.copytree(PROJECT / name, copy / name)
    for name in ("wsgi.py", "gunicorn.conf.py"):
        shutil.copy(PROJECT / name, copy / name)
    errors = copy / "webapp" / "errors.py"
    statuses: Counter[int] = Counter()
    done = threading.Event()

    url = f"sqlite:///{tmp_path / 'reload.sqlite'}"
    with run_poolproof_service(url, tmp_path / "instance", copy, POOLPROOF_WORKERS="1") as service:

        def visit() -> None:
            # A connection of its own for each request: a kept one may be closed between two, which is no failure.
            with httpx2.Client(base_url=service.address, timeout=PATIENCE, headers={"Connection": "close"}) as visitor:
                while not done.is_set():
                    statuses[visitor.get("/api/v1/quizzes").status_code] += 1

        visitors = [threading.Thread(target=visit) for _ in range(4)]
        for visitor in visitors:
            visitor.start()
        before = httpx2.get(f"{service.address}/problems", timeout=PATIENCE).text
        errors.write_text(errors.read_text().replace("That name is taken.", "Somebody has that name."))
        service.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE
        while "Somebody has" not in (after := httpx2.get(f"{service.address}/problems", timeout=PATIENCE).text):
            assert time.monotonic() < deadline, "the old code is still served"
            time.sleep(0.1)
        done.set()
        for visitor in visitors:
            visitor.join()
    assert "That name is taken." in before
    assert "That name is taken." not in after
    assert set(statuses) == {200}
