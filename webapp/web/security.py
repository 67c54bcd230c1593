"""Headers that keep a browser from doing more than we mean."""

from __future__ import annotations

from flask import Flask, Response, request

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Swagger UI writes style attributes; scripts stay ours there too.
POLICY_OF_DOCS = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")


NO_SNIFFING = ("X-Content-Type-Options", "nosniff")
NOT_KEPT = ("Cache-Control", "no-store")
TRANSPORT = ("Strict-Transport-Security", "max-age=31536000")
OF_DATA = (("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"), NO_SNIFFING)
"""What OWASP's REST cheat sheet asks of answers that are no pages."""
OF_PAGES = (
    ("Content-Security-Policy", POLICY),
    NO_SNIFFING,
    # An attempt's address is a secret: other sites must not see it.
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
)


def register(app: Flask) -> None:
    """Put the headers on every response."""
    app.after_request(_harden)


def _harden(response: Response) -> Response:
    headers = response.headers
    if request.path == "/docs":
        headers["Content-Security-Policy"] = POLICY_OF_DOCS
    for name, value in OF_DATA if request.path.startswith("/api/") else OF_PAGES:
        headers.setdefault(name, value)
    if request.endpoint != "static":
        headers.setdefault(*NOT_KEPT)
    if request.is_secure:
        headers.setdefault(*TRANSPORT)
    return response
