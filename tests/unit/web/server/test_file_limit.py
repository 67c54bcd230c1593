from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support import PROJECT
from webapp.web.server.file_limit import MAX_CONNECTIONS, RESERVED_FILES, connections_for

PROGRAM = """
import resource, sys
from webapp.web.server.file_limit import raise_file_limit
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), min(hard, int(sys.argv[2]))))
print(raise_file_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(("soft", "hard"), [(256, 512), (512, 512)])
def test_the_soft_limit_becomes_the_hard_one(soft: int, hard: int) -> None:
    command = [sys.executable, "-c", PROGRAM, str(soft), str(hard)]
    found = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert found.split() == [str(hard)] * 3


def test_some_files_are_left_for_what_is_no_client() -> None:
    assert connections_for(1024) == 1024 - RESERVED_FILES
    assert connections_for(1_000_000) == MAX_CONNECTIONS
    assert 0 < connections_for(100) < 100
