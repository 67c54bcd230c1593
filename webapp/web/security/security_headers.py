"""Security headers of all responses."""

from __future__ import annotations

from flask import Flask, Response, request

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Swagger UI sets style attributes; scripts are restricted to our own there, too.
DOCS_CONTENT_SECURITY_POLICY = CONTENT_SECURITY_POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")

NOSNIFF = ("X-Content-Type-Options", "nosniff")
NO_STORE = ("Cache-Control", "no-store")
HSTS = ("Strict-Transport-Security", "max-age=31536000")
API_HEADERS = (("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"), NOSNIFF)
"""What OWASP's REST security cheat sheet asks of responses that are not pages."""
PAGE_HEADERS = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    NOSNIFF,
    # An attempt's address is a secret: other sites must not see it.
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
)


def init_app(app: Flask) -> None:
    """Set the headers on every response."""
    app.after_request(_set_headers)


def _set_headers(response: Response) -> Response:
    headers = response.headers
    if request.path == "/docs":
        headers["Content-Security-Policy"] = DOCS_CONTENT_SECURITY_POLICY
    for name, value in API_HEADERS if request.path.startswith("/api/") else PAGE_HEADERS:
        headers.setdefault(name, value)
    if request.endpoint != "static":
        headers.setdefault(*NO_STORE)
    if request.is_secure:
        headers.setdefault(*HSTS)
    return response
