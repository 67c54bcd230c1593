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
