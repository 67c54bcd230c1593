"""Whether connections are encrypted, and by what."""

from __future__ import annotations

import ssl
from functools import lru_cache
from pathlib import Path

from sqlalchemy import URL

from poolproof.errors import PoolConfigurationError
from poolproof.settings import PoolSettings

LOOPBACK_HOSTS = {None, "", "localhost", "127.0.0.1", "::1"}


def is_enabled(settings: PoolSettings, url: URL) -> bool:
    """Say whether connections are encrypted: `auto` means everywhere but on this machine."""
    if settings.tls == "auto":
        on_this_machine = url.host in LOOPBACK_HOSTS or "unix_socket" in url.query
        return settings.tls_ca is not None or not on_this_machine
    return settings.tls == "required"


@lru_cache(maxsize=8)
def shared_ssl_context(ca: Path | None) -> ssl.SSLContext:
    """Return one context for all connections of the process; making one takes 28 ms.

    With a certificate authority the server's certificate must be signed by it; without
    one the connection is encrypted, but the server is not authenticated.

    Raises:
        PoolConfigurationError: when the file has no certificate, or cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
    except OSError as error:
        # ssl.SSLError is one, too.
        raise PoolConfigurationError(
            f"POOL_TLS_CA names {ca}, from which no certificate can be read ({error.strerror or error}). Name a PEM "
            "file with the certificate of the authority, readable by this account."
        ) from error
    # Certificates that MySQL makes for itself carry no host name and no key usage.
    context.check_hostname = False
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_mode = ssl.CERT_REQUIRED if ca else ssl.CERT_NONE
    return context
