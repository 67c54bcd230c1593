"""DATABASE_URL: which databases it may name, and that everything in it is honoured or refused.

A part that had no effect would be worse than none: a certificate that is named and not checked. No message quotes a
value, since it may be a part of a password that was written without its escapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qsl

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

DRIVER_BY_BACKEND = {"sqlite": "sqlite", "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}
CHARSET = "utf8mb4"
HONOURED_OPTIONS = {"sqlite": set[str](), "mysql": {"unix_socket", "charset"}, "mariadb": {"unix_socket", "charset"}}
MAX_PORT = 65_535

_TLS = "set POOL_TLS (auto, off, required) instead"
_BEFORE_THE_OPTIONS = "write it before the options, as mysql://user:password@host:port/schema"
_NO_CLIENT_CERTIFICATES = "client certificates are not supported; remove it"
_SETTING_FOR_OPTION = {
    "ssl": _TLS,
    "tls": _TLS,
    "ssl_mode": _TLS,
    "sslmode": _TLS,
    "usessl": _TLS,
    "requiressl": _TLS,
    "ssl_disabled": _TLS,
    "ssl_verify_cert": _TLS,
    "ssl_verify_identity": _TLS,
    "ssl_check_hostname": _TLS,
    "verifyservercertificate": _TLS,
    "ssl_ca": "set POOL_TLS_CA instead",
    "sslrootcert": "set POOL_TLS_CA instead",
    "ssl_capath": "set POOL_TLS_CA instead",
    "ssl_cert": _NO_CLIENT_CERTIFICATES,
    "ssl_key": _NO_CLIENT_CERTIFICATES,
    "sslcert": _NO_CLIENT_CERTIFICATES,
    "sslkey": _NO_CLIENT_CERTIFICATES,
    "connect_timeout": "set POOL_CONNECT_TIMEOUT instead",
    "read_timeout": "set POOL_READ_TIMEOUT instead",
    "write_timeout": "set POOL_WRITE_TIMEOUT instead",
    "pool_size": "set POOL_SIZE instead",
    "max_overflow": "set POOL_MAX_OVERFLOW instead",
    "pool_timeout": "set POOL_TIMEOUT instead",
    "pool_recycle": "set POOL_RECYCLE instead",
    "pool_pre_ping": "idle connections are pinged; set POOL_PING_IDLE_AFTER instead",
    "user": _BEFORE_THE_OPTIONS,
    "password": _BEFORE_THE_OPTIONS,
    "host": _BEFORE_THE_OPTIONS,
    "port": _BEFORE_THE_OPTIONS,
    "database": _BEFORE_THE_OPTIONS,
    "db": _BEFORE_THE_OPTIONS,
    "autocommit": "a session is set up by Poolproof; remove it",
    "init_command": "a session is set up by Poolproof; remove it",
    "sql_mode": "a session is set up by Poolproof; remove it",
}
"""What to do instead of an option that other programs know, by its name in lower case with underscores."""


def normalize_url(text: str, variable: str = "DATABASE_URL", *, needs_schema: bool = True) -> URL:
    """Return the URL with the driver that is used here.

    Args:
        text: The URL.
        variable: The variable that has it, for messages.
        needs_schema: False for a URL that names a server.

    Raises:
        ValueError: with a sentence for each thing that is wrong.
    """
    url = _parse(text, variable)
    backend = url.get_backend_name()
    if backend not in DRIVER_BY_BACKEND:
        raise ValueError(f"{variable} names {backend}; Poolproof runs on MySQL, MariaDB and SQLite")
    if _has_unescaped_at(url):
        problems = ["has an @ in its password or user: write it as %40, and : / % # as %3A %2F %25 %23"]
    else:
        places = _place_problems(url, needs_schema=needs_schema)
        problems = [*_driver_problems(url), *places, *_option_problems(url, text)]
    if problems:
        raise ValueError("\n".join(f"{variable} {problem}" for problem in problems))
    # The driver is fixed, so that mysql:// alone is enough.
    return url.set(drivername=DRIVER_BY_BACKEND[backend])


def _parse(text: str, variable: str) -> URL:
    try:
        return make_url(text)
    except (ArgumentError, ValueError):
        # Not chained: the error of SQLAlchemy may quote the URL with its password.
        raise ValueError(f"{variable} cannot be read; write mysql://user:password@host/schema") from None


def _has_unescaped_at(url: URL) -> bool:
    """Say whether a part of the password was taken for the host or for options, which therefore must not be shown."""
    options = {name: value for name, value in url.query.items() if name != "unix_socket"}
    return any("@" in str(part) for part in (url.host, *options.items()))


def _driver_problems(url: URL) -> Iterator[str]:
    backend, _, driver = url.drivername.partition("+")
    used = DRIVER_BY_BACKEND[backend]
    if driver and f"{backend}+{driver}" != used:
        yield f"names the driver {driver}, which is not used: write {backend}:// instead"


def _place_problems(url: URL, *, needs_schema: bool) -> Iterator[str]:
    if url.get_backend_name() == "sqlite":
        if url.host or url.username or url.password or url.port:
            yield "names a host or an account, which an SQLite file does not have: write sqlite:////path/to/file"
        return
    if url.port is not None and not 0 < url.port <= MAX_PORT:
        yield f"has a port that is not between 1 and {MAX_PORT}"
    if needs_schema and not url.database:
        yield "names no schema: write mysql://user:password@host/schema"


def _option_problems(url: URL, text: str) -> Iterator[str]:
    honoured = HONOURED_OPTIONS[url.get_backend_name()]
    for name, values in _options(url, text).items():
        if name not in honoured:
            yield f"has the option {name}, which is not used: {_remedy(name, honoured)}"
        elif len(values) > 1:
            yield f"has the option {name} {len(values)} times: write it once"
        elif not values[0]:
            yield f"has the option {name} without a value: give it one or remove it"
        elif name == "charset" and values[0] != CHARSET:
            yield f"has the option charset with another value: the character set is always {CHARSET}; remove it"


def _options(url: URL, text: str) -> dict[str, list[str]]:
    """Return all values of each option, the empty ones too, which SQLAlchemy leaves out."""
    options = {name: [value] if isinstance(value, str) else list(value) for name, value in url.query.items()}
    # What stands before an @ may be a part of a password.
    _, has_options, query = text.rpartition("@")[2].partition("?")
    for name, value in parse_qsl(query, keep_blank_values=True) if has_options else []:
        if not value:
            options.setdefault(name, []).append(value)
    return options


def _remedy(name: str, honoured: set[str]) -> str:
    known = name.lower().replace("-", "_")
    return f"write {known}" if known in honoured else _SETTING_FOR_OPTION.get(known, "remove it")
