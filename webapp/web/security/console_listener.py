"""By which address did a request come in? What is for operators is shown on the console's address only.

Asked of the socket, not of any header: those are the client's, or a proxy's.
"""

from __future__ import annotations

from flask import current_app, request

from webapp.errors import NotFoundError

OFF = "off"
WILDCARD_HOSTS = {"", "0.0.0.0", "::", "[::]", "*"}  # noqa: S104 - recognised, not bound


def require_console_listener() -> None:
    """Let nobody in who came by the public address; a blueprint's first `before_request`.

    Raises:
        NotFoundError: as if there were nothing.
    """
    if not is_console_listener():
        raise NotFoundError("There is no such page.")


def is_console_listener() -> bool:
    """Say whether the current request came in where operators may look."""
    door = current_app.config["CONSOLE_LISTENER"]
    if door == OFF:
        return False
    socket = request.environ.get("gunicorn.socket")
    if socket is None:
        # Another server: it cannot be told, so it is not shown. Tests have no socket at all.
        return current_app.testing
    return matches_address(socket.getsockname(), door)


def matches_address(sockname: object, address: str) -> bool:
    """Say whether a socket's own name is this address, e.g. ("127.0.0.1", 8001) is "127.0.0.1:8001"."""
    if not isinstance(sockname, tuple):
        return False
    host, _, port = address.rpartition(":")
    return str(sockname[1]) == port and (host in WILDCARD_HOSTS or host.strip("[]") in {sockname[0], "localhost"})
