from __future__ import annotations

import sys

import pytest

from poolproof.lab.command_line import command_line


def test_the_url_of_a_database_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "mysql+pymysql://app:secret@db/app"
    monkeypatch.setattr(sys, "argv", ["x", "lab", "size", f"--url={url}", "--workload", "my file"])
    assert command_line(url) == "python -m poolproof lab size --url=URL --workload 'my file'"
    assert command_line(None).endswith("'my file'")
