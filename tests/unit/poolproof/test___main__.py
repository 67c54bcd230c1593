from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support import PROJECT


@pytest.mark.parametrize(("missing", "code"), [("", 0), ("sys.modules['click'] = None; ", 1)])
def test_the_module_is_a_program_and_says_what_is_missing(missing: str, code: int) -> None:
    source = f"import sys; {missing}from poolproof.__main__ import main; sys.argv[1:] = ['--help']; main()"
    command = [sys.executable, "-c", source]
    environment = {"PYTHONPATH": str(PROJECT / "webapp" / "pooling" / "src")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert ("doctor" in done.stdout) is (code == 0)
    assert ("pip install poolproof[lab]" in done.stderr) is (code == 1)
