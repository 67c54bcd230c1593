from __future__ import annotations

import ssl

import pytest
from pymysql.err import OperationalError

from poolproof.drivers.mysql.tls_errors import tls_refusal


def wrapped(cause: Exception) -> OperationalError:
    """Return the error in the form in which PyMySQL raises it."""
    error = OperationalError(2003, "Can't connect")
    error.original_exception = cause  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (OperationalError(3159, "translated"), "Set POOL_TLS=required"),
        (OperationalError(2026, "translated"), "POOL_TLS=off"),
        (wrapped(ssl.SSLCertVerificationError(1, "no")), "Name the file of the authority"),
        (wrapped(ssl.SSLError(1, "no shared cipher")), "no shared cipher"),
    ],
)
def test_each_disagreement_says_what_to_do(error: Exception, advice: str) -> None:
    assert advice in (tls_refusal(error) or "")


@pytest.mark.parametrize(
    "error", [OperationalError(1045, "no"), wrapped(ConnectionRefusedError()), ValueError("no"), OperationalError()]
)
def test_any_other_error_is_none_of_them(error: Exception) -> None:
    assert tls_refusal(error) is None
