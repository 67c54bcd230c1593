from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from poolproof.errors import PoolConfigurationError
from poolproof.settings import PoolSettings


def test_a_socket_that_gives_up_before_the_statement_may_end_is_refused() -> None:
    with pytest.raises(PoolConfigurationError, match="legal statements would be cut off"):
        PoolSettings(read_timeout=5, statement_timeout=10)


def test_a_certificate_authority_without_tls_is_refused(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    with pytest.raises(PoolConfigurationError, match="POOL_TLS_CA is set but POOL_TLS is off"):
        PoolSettings(tls="off", tls_ca=authority)


def test_a_certificate_authority_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PoolConfigurationError, match="which is not a file"):
        PoolSettings(tls_ca=tmp_path / "missing.pem")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"min_idle": 9, "size": 4}, "POOL_MIN_IDLE is 9 but a pool has only POOL_SIZE = 4"),
        (
            {"timeout": 30, "request_deadline": 20},
            "POOL_TIMEOUT is 30 s but a whole request has only POOL_REQUEST_DEADLINE = 20 s",
        ),
        ({"size": 0}, "POOL_SIZE is 0: it must be at least 1 and at most 1000"),
        ({"background_size": 0}, "POOL_BACKGROUND_SIZE is 0: it must be at least 1"),
        ({"max_overflow": -1}, "POOL_MAX_OVERFLOW is -1: it must be at least 0"),
        ({"leak_threshold": 0}, "POOL_LEAK_THRESHOLD is 0: it must be more than 0"),
        ({"blocking_guard": "shout"}, "must be one of auto, raise, count"),
        ({"boot_check": "perhaps"}, "must be one of strict, warn, off"),
        ({"pool_class": "assertion"}, "POOL_CLASS is 'assertion': it must be one of queue, null"),
    ],
)
def test_each_bad_value_is_refused_with_a_sentence_of_its_own(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PoolConfigurationError, match=sentence):
        PoolSettings(**values)
