"""The listener that a request came in by: operators' pages are served on the console's address only.

The socket decides and no header: headers are set by the client, or by a proxy.
"""

from __future__ import annotations

from flask import Blueprint, Flask, current_app, request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import MethodNotAllowed, NotFound

WILDCARD_HOSTS = {"", "0.0.0.0", "::", "[::]", "*"}  # noqa: S104 - recognised, not bound


_EXTENSION = "console_blueprints"


def restrict_to_console(blueprint: Blueprint) -> None:
    """Serve a blueprint's routes on the console's address only; on the public one they do not exist."""

    def remember(state: BlueprintSetupState) -> None:
        state.app.extensions.setdefault(_EXTENSION, set()).add(state.name)

    blueprint.record(remember)


def init_app(app: Flask) -> None:
    """Check the door of every request; to be called before what looks at its user or its body."""
    app.before_request(_check_door)


def is_console_endpoint(endpoint: str) -> bool:
    """Say whether an endpoint of the current app is served on the console's address only."""
    return endpoint.rpartition(".")[0] in current_app.extensions.get(_EXTENSION, ())


def _check_door() -> None:
    """Refuse what is of the console's as what does not exist, whatever its method, its sender and its body.

    Raises:
        NotFound: as for a page that does not exist.
    """
    endpoint = request.endpoint or _endpoint_of_other_method()
    if endpoint is not None and is_console_endpoint(endpoint) and not is_console_listener():
        raise NotFound


def _endpoint_of_other_method() -> str | None:
    """Return an endpoint that has the request's path, but not its method."""
    error = request.routing_exception
    adapter = current_app.create_url_adapter(request)
    if not isinstance(error, MethodNotAllowed) or adapter is None:
        return None
    method = next(iter(error.valid_methods or ()), None)
    endpoint: str = adapter.match(method=method)[0]
    return endpoint


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
