"""The listener that a request came in by: operators' pages are served on the console's address only.

The socket decides and no header: headers are set by the client, or by a proxy.
"""

from __future__ import annotations

from flask import current_app, request

from webapp.errors import NotFoundError

WILDCARD_HOSTS = {"", "0.0.0.0", "::", "[::]", "*"}  # noqa: S104 - recognised, not bound


def require_console_listener() -> None:
    """Refuse requests on the public address; a blueprint's first `before_request`.

    Raises:
        NotFoundError: as for a page that does not exist.
    """
    if not is_console_listener():
        raise NotFoundError("There is no such page.")


def is_console_listener() -> bool:
    """Say whether the current request came in by the console's listener."""
    address = current_app.config["CONSOLE_LISTENER"]
    if address is None:
        return False
    socket = request.environ.get("gunicorn.socket")
    if socket is None:
        # Another server than Gunicorn, which cannot be asked, so the console is hidden. Tests have no socket at all.
        return current_app.testing
    return matches_address(socket.getsockname(), address)


def matches_address(sockname: object, address: str) -> bool:
    """Say whether a socket's own name is this address, e.g. ("127.0.0.1", 8001) is "127.0.0.1:8001"."""
    if not isinstance(sockname, tuple):
        return False
    host, _, port = address.rpartition(":")
    return str(sockname[1]) == port and (host in WILDCARD_HOSTS or host.strip("[]") in {sockname[0], "localhost"})
