"""How long a client may take, and how much of what it sends is kept in memory.

Times are absolute: a byte now and then extends none of them. Loaded by Gunicorn's master; imports nothing of ours.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_HEAD_BYTES = 64 * 1024
"""Request line and headers together; Gunicorn's own limits for each of them are stricter."""
MAX_WHOLE_BODY_BYTES = 64 * 1024
"""A body up to this size is received before a thread gets the request; a larger one is read by its thread."""
MAX_UNSENT_BYTES = 1024 * 1024
"""What a client has not read yet of its response; a thread whose response is larger waits for the client."""
WRITE_TIMEOUT = 20.0
"""Seconds for which a thread waits for a client to read anything of a response that is larger."""
SEND_TIMEOUT = 60.0
"""Seconds in which a client has to read the rest of its response, once the thread has left."""
LINGER_TIMEOUT = 2.0
"""Seconds for which a connection that is closed still receives, so that the client gets the end of its response."""
MAX_LINGER_BYTES = 16 * 1024 * 1024
STOP_TIMEOUT = 2.0
"""Seconds for which a worker that stops waits for requests on connections that are idle."""


@dataclass(frozen=True)
class ClientTimeouts:
    """Seconds that a client has for each part of a request."""

    head: float = 10.0
    """From the connection to the first request's head, or from a later request's first byte to the end of its head."""
    body: float = 30.0
    """From the head to the end of a body that is received before the request is handled."""
    upload: float = 600.0
    """For a larger body, from its first read to its end."""
    keep_alive: float = 75.0
    """Between a response and the next request's first byte; longer than a load balancer keeps a connection."""
