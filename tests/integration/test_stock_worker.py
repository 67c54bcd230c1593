"""Everything on Gunicorn's own worker with threads: slower, and correct.

The tests that start services run once more on it. Left out are those about what only our worker promises.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support import PROJECT

pytestmark = [pytest.mark.soak, pytest.mark.slow(reason="runs many tests of services again")]

PAGES_AND_REST = (
    "tests/e2e",
    "tests/repo/test_routes.py",
    "tests/unit/console",
    "tests/unit/lab/push",
    "tests/integration/test_nginx.py",
)
FAULT_TESTS = (
    "tests/integration/test_answers.py",
    "tests/integration/test_full_server.py",
    "tests/integration/test_long_work.py",
    "tests/integration/test_misbehaving.py",
    "tests/integration/test_outages.py",
    "tests/integration/test_reload.py",
)
PROMISED_BY_OUR_WORKER_ONLY = (
    # There an answer that waits for its commit keeps its thread.
    f"{FAULT_TESTS[0]}::test_while_one_attempt_is_locked_twenty_others_are_served_and_only_its_player_gets_503",
)
"""Tests of these files that cannot pass there. `test_deferred_responses.py` is of that kind as a whole."""


@pytest.mark.parametrize("paths", [PAGES_AND_REST, FAULT_TESTS], ids=["pages and REST", "faults"])
def test_it_passes_on_gunicorns_own_worker(paths: tuple[str, ...]) -> None:
    options = [f"--deselect={name}" for name in PROMISED_BY_OUR_WORKER_ONLY]
    command = [sys.executable, "-m", "pytest", "-q", "--worker-class", "gthread", "--databases", "mysql,sqlite"]
    done = subprocess.run([*command, *options, *paths], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:]
