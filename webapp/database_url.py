"""DATABASE_URL: which databases it may name, and that every option in it is honoured or refused.

An option that had no effect would be worse than none: a certificate that is named and not checked.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

DRIVER_BY_BACKEND = {"sqlite": "sqlite", "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}
CHARSET = "utf8mb4"
HONOURED_OPTIONS = {"sqlite": set[str](), "mysql": {"unix_socket", "charset"}, "mariadb": {"unix_socket", "charset"}}

_TLS = "set POOL_TLS (auto, off, required) instead"
_SETTING_FOR_OPTION = {
    "ssl": _TLS,
    "ssl_mode": _TLS,
    "sslmode": _TLS,
    "usessl": _TLS,
    "ssl_disabled": _TLS,
    "ssl_verify_cert": _TLS,
    "ssl_verify_identity": _TLS,
    "ssl_check_hostname": _TLS,
    "ssl_ca": "set POOL_TLS_CA instead",
    "ssl_cert": "client certificates are not supported",
    "ssl_key": "client certificates are not supported",
    "connect_timeout": "set POOL_CONNECT_TIMEOUT instead",
    "read_timeout": "set POOL_READ_TIMEOUT instead",
    "write_timeout": "set POOL_WRITE_TIMEOUT instead",
    "pool_size": "set POOL_SIZE instead",
    "max_overflow": "set POOL_MAX_OVERFLOW instead",
    "pool_timeout": "set POOL_TIMEOUT instead",
    "pool_recycle": "set POOL_RECYCLE instead",
    "pool_pre_ping": "idle connections are pinged; set POOL_PING_IDLE_AFTER instead",
}
"""What to do instead of an option that other programs know, by its name in lower case with underscores."""


def normalize_url(text: str) -> URL:
    """Return the URL with the driver that is used here.

    Raises:
        ValueError: with a sentence for each thing that is wrong.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise ValueError("DATABASE_URL cannot be read; write mysql+pymysql://user:password@host/schema") from error
    backend = url.get_backend_name()
    if backend not in DRIVER_BY_BACKEND:
        raise ValueError(f"DATABASE_URL names {backend}; Poolproof runs on MySQL, MariaDB and SQLite")
    if problems := list(_option_problems(url, backend)):
        raise ValueError("\n".join(problems))
    # The driver is fixed, so that mysql:// alone is enough.
    return url.set(drivername=DRIVER_BY_BACKEND[backend])


def _option_problems(url: URL, backend: str) -> Iterator[str]:
    for name, value in url.query.items():
        if name == "charset" and value != CHARSET:
            yield f"DATABASE_URL has the option charset={value}: the character set is always {CHARSET}; remove it"
        elif name not in HONOURED_OPTIONS[backend]:
            remedy = _SETTING_FOR_OPTION.get(name.lower().replace("-", "_"), "remove it")
            yield f"DATABASE_URL has the option {name}, which is not used: {remedy}"
