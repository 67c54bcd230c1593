from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from webapp.pooling.settings import PoolSettings


def test_a_socket_that_gives_up_before_the_statement_may_end_is_refused() -> None:
    with pytest.raises(ValidationError, match="legal statements would be cut off"):
        PoolSettings(read_timeout=5, statement_timeout=10)


def test_a_certificate_authority_without_tls_is_refused(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    with pytest.raises(ValidationError, match="POOL_TLS_CA is set but POOL_TLS is off"):
        PoolSettings(tls="off", tls_ca=authority)


def test_a_certificate_authority_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="which is not a file"):
        PoolSettings(tls_ca=tmp_path / "missing.pem")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"keep": 9, "size": 4}, "POOL_KEEP is 9 but a pool has only POOL_SIZE = 4"),
        ({"timeout": 30, "deadline": 20}, "POOL_TIMEOUT is 30 s but a whole request has only POOL_DEADLINE = 20 s"),
        ({"size": 0}, "greater than or equal to 1"),
        ({"background": 0}, "greater than or equal to 1"),
        ({"overflow": -1}, "greater than or equal to 0"),
        ({"watch_after": 0}, "greater than 0"),
        ({"guard": "shout"}, "'auto', 'raise' or 'count'"),
        ({"check": "perhaps"}, "'strict', 'warn' or 'off'"),
        ({"class": "assertion"}, "'queue', 'null', 'static' or 'singleton_thread'"),
        ({"pings": 1}, "Extra inputs are not permitted"),
    ],
)
def test_each_bad_value_is_refused_with_a_sentence_of_its_own(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        PoolSettings.model_validate(values)
