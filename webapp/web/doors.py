"""By which address did a request come in? What is for operators is shown on the console's address only.

Asked of the socket, not of any header: those are the client's, or a proxy's.
"""

from __future__ import annotations

from flask import current_app, request

from webapp.errors import NotFoundError

OFF = "off"
ANY_HOST = {"", "0.0.0.0", "::", "[::]", "*"}  # noqa: S104 - recognised, not bound


def require_console_door() -> None:
    """Let nobody in who came by the public address; a blueprint's first `before_request`.

    Raises:
        NotFoundError: as if there were nothing.
    """
    if not is_console_door():
        raise NotFoundError("There is no such page.")


def is_console_door() -> bool:
    """Say whether the current request came in where operators may look."""
    door = current_app.config["CONSOLE_DOOR"]
    if door == OFF:
        return False
    socket = request.environ.get("gunicorn.socket")
    if socket is None:
        # Another server: it cannot be told, so it is not shown. Tests have no socket at all.
        return current_app.testing
    return is_address(socket.getsockname(), door)


def is_address(name: object, door: str) -> bool:
    """Say whether a socket's own name is this address, e.g. ("127.0.0.1", 8001) is "127.0.0.1:8001"."""
    if not isinstance(name, tuple):
        return False
    host, _, port = door.rpartition(":")
    return str(name[1]) == port and (host in ANY_HOST or host.strip("[]") in {name[0], "localhost"})
