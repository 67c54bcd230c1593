from __future__ import annotations

import pytest

from poolproof.lab.hosts import is_local_host


@pytest.mark.parametrize(
    ("host", "is_local"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("192.0.2.1", False), ("not a host", False)],
)
def test_this_machine_is_told_from_others(host: str, is_local: bool) -> None:
    assert is_local_host(host) is is_local
