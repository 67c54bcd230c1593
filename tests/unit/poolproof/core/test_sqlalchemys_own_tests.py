"""SQLAlchemy's own tests of its pool, run against ours: only the documented ones may fail, and each of these does.

None of them is part of this repository: SQLALCHEMY_SOURCE names the folder of the installed version's source, with its
`test` and `lib`, as a checkout or the source distribution has it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import sqlalchemy

from tests.support import PROJECT

MODULES = ("test_pool", "test_reconnect", "test_transaction", "test_logging")
SOURCE = "SQLALCHEMY_SOURCE"

PRIVATE = "reads or writes the private queue `_pool` or the counter `_overflow`, which ours does not have"
CLOCK = "sets the wall clock ahead; ages are counted on the monotonic clock"
LIFO = "expects first in, first out; ours lends last in, first out unless told otherwise"
PRIVATE_STATE = "compares every private attribute of the pool and of its successor; ours have a lock and a queue each"
REPLACED = "uses a pool on that `recreate` has replaced; ours then closes what comes back to it"

DIFFERENCES = {
    "PoolDialectTest.test_queue_pool": REPLACED,
    "PoolTest.test_recreate_state[FairQueuePool-pool_args0]": PRIVATE_STATE,
    "PoolTest.test_recreate_state[FairQueuePool-pool_args1]": PRIVATE_STATE,
    "QueuePoolTest.test_connect_checkout_handler_always_gets_info": PRIVATE,
    "QueuePoolTest.test_connect_handler_not_called_for_recycled": PRIVATE,
    "QueuePoolTest.test_error_on_pooled_reconnect_cleanup_invalidate": PRIVATE,
    "QueuePoolTest.test_error_on_pooled_reconnect_cleanup_recycle": PRIVATE,
    "QueuePoolTest.test_error_on_pooled_reconnect_cleanup_wcheckout_event[base_exception]": PRIVATE,
    "QueuePoolTest.test_error_on_pooled_reconnect_cleanup_wcheckout_event[plain]": PRIVATE,
    "QueuePoolTest.test_overflow_reset_on_failed_connect": PRIVATE,
    "MockReconnectTest.test_dialect_initialize_retry_if_exception": PRIVATE,
    "QueuePoolTest.test_fifo": LIFO,
    "MockReconnectTest.test_reconnect": LIFO,
    "QueuePoolTest.test_recycle": CLOCK,
}
"""The tests of SQLAlchemy 2.1.9 that fail with our pool, each with its reason; docs/pooling.md has the reasons."""


@pytest.fixture(scope="module")
def source() -> Path:
    if SOURCE not in os.environ:
        pytest.skip(f"{SOURCE} does not name a folder with SQLAlchemy's source")
    folder = Path(os.environ[SOURCE])
    version = f'__version__ = "{sqlalchemy.__version__}"'
    assert version in (folder / "lib/sqlalchemy/__init__.py").read_text(), f"{folder} is another version"
    return folder


def failed_tests(source: Path, report: Path, *plugins: str) -> set[str]:
    """Run the tests in a process of their own; return which failed."""
    plugins = tuple(word for plugin in plugins for word in ("-p", plugin))
    plugins_off = ("-p", "no:cacheprovider", "-p", "no:anyio", "-p", "no:schemathesis", "-p", "no:flask")
    files = [f"test/engine/{name}.py" for name in MODULES]
    options = ("-q", "--db", "sqlite", "--junitxml", str(report), "-o", "addopts=", "-o", "junit_family=xunit1")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(PROJECT), *sys.path]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    # -s: their conftest would put the folder's own library before the one that is installed.
    command = [sys.executable, "-s", "-m", "pytest", *plugins, *plugins_off, *options, *files]
    done = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, check=False)
    assert report.exists(), done.stdout + done.stderr
    cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 - our own report
    assert len(cases) > 300, done.stdout
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    return {f"{case.get('classname', '').rpartition('.')[2]}.{case.get('name')}" for case in failed}


@pytest.mark.soak
@pytest.mark.slow(reason="several hundred tests of another project")
def test_every_test_of_sqlalchemys_passes_but_the_documented_ones(source: Path, tmp_path: Path) -> None:
    failed = failed_tests(source, tmp_path / "report.xml", "tests.support.fair_queue_pool_plugin")
    assert dict.fromkeys(failed - DIFFERENCES.keys(), "is not documented") == {}
    assert dict.fromkeys(DIFFERENCES.keys() - failed, "passes by now") == {}


@pytest.mark.soak
@pytest.mark.slow(reason="several hundred tests of another project")
def test_every_test_of_sqlalchemys_passes_with_its_own_pool(source: Path, tmp_path: Path) -> None:
    assert failed_tests(source, tmp_path / "report.xml") == set()
