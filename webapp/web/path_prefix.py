"""A path prefix: the service under https://example.org/quiz/, by a proxy that says so.

The prefix is WSGI's SCRIPT_NAME. A proxy that is trusted and removes the prefix names it in X-Forwarded-Prefix; for one
that leaves it in the path, Gunicorn takes it from the environment variable SCRIPT_NAME.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import has_request_context, request
from werkzeug.middleware.proxy_fix import ProxyFix

PATH_PREFIX = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)+", re.ASCII)
"""What a prefix may be. Anything else, such as //example.org, would turn links of ours into links to elsewhere."""


class PathPrefixMiddleware:
    """WSGI middleware: leaves out a prefix that is none."""

    def __init__(self, application: WSGIApplication) -> None:
        """Wrap an application."""
        self._application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        prefix = environ.get("SCRIPT_NAME", "")
        if prefix:
            plain = prefix.rstrip("/")
            environ["SCRIPT_NAME"] = plain if PATH_PREFIX.fullmatch(plain) else ""
        return self._application(environ, start_response)


def trust_proxies(application: WSGIApplication, hops: int) -> ProxyFix:
    """Believe what so many proxies in front say of the client, the scheme, the host and the prefix."""
    # Proxies append to the other headers; the prefix is set by one of them and passed on.
    return ProxyFix(PathPrefixMiddleware(application), x_for=hops, x_proto=hops, x_host=hops, x_prefix=1)


def with_prefix(path: str) -> str:
    """Return a path of this app as a client has to send it."""
    return request.script_root + path if has_request_context() else path
