"""Connects that fail because the server and this side do not agree on TLS: what is wrong, and what to do.

None of them passes by itself, unlike a server that is away; so they are told apart, by number and by the class of the
error underneath.
"""

from __future__ import annotations

import ssl

from poolproof.drivers.mysql.errors import error_number
from poolproof.drivers.transient_cause import original_error

SECURE_TRANSPORT_REQUIRED = 3159
"""ER_SECURE_TRANSPORT_REQUIRED; MariaDB's number is the same."""
SSL_CONNECTION_ERROR = 2026
"""CR_SSL_CONNECTION_ERROR: PyMySQL's for a server without TLS."""


def tls_refusal(error: BaseException) -> str | None:
    """Return in sentences why no connection is made and what to do; None for an error that has other reasons."""
    original = original_error(error)
    number, cause = error_number(original), _ssl_error(original)
    if number == SECURE_TRANSPORT_REQUIRED:
        return (
            "The server takes encrypted connections only (require_secure_transport). Set POOL_TLS=required, and "
            "POOL_TLS_CA to the file of the authority that has signed the server's certificate."
        )
    if isinstance(cause, ssl.SSLCertVerificationError):
        reason = getattr(cause, "verify_message", cause)
        return (
            f"The server's certificate is refused ({reason}): it is not signed by the authority in "
            "POOL_TLS_CA, and no connection was made. Name the file of the authority that has signed it; MySQL's own "
            "is ca.pem in its data directory."
        )
    if number == SSL_CONNECTION_ERROR or cause is not None:
        hint = f" ({getattr(cause, 'reason', None) or cause})" if cause is not None else ""
        return (
            f"No encrypted connection can be made{hint}: the server offers no TLS, or none that suits. Set it up on "
            "the server, or set POOL_TLS=off where nobody else can read the network in between."
        )
    return None


def _ssl_error(original: BaseException) -> ssl.SSLError | None:
    """Return the error of TLS that PyMySQL has wrapped."""
    wrapped = getattr(original, "original_exception", None) or original.__context__
    return wrapped if isinstance(wrapped, ssl.SSLError) else None
