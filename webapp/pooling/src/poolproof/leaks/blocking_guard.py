"""Keeps requests from sleeping, rendering or opening network connections while they hold a connection.

In development and tests that is an error which names the line; in production it is counted by `on_blocking_call`, and
logged once for each line.
"""

from __future__ import annotations

import functools
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

from poolproof.drivers.connect_state import connect_state
from poolproof.errors import PoolUsageError
from poolproof.leaks import call_site
from poolproof.leaks.checkouts import current_request

log = logging.getLogger(__name__)

MAX_CACHED_LINES = 1000

_logged_lines: dict[str, str] = {}
"""E.g. "sleeping at app/items.py:12 in find", and the sentence of the thread that was the first to meet it."""
_NETWORK_EVENTS = {"socket.connect", "http.client.connect", "http.client.send"}
_installed: dict[str, object] = {}
"""Which call has installed the guard."""
_callbacks: list[Callable[[str], None]] = []


def assert_no_connection_held(activity: str) -> None:
    """Check that this request holds no connection: `activity` is about to begin, which takes long and needs none.

    Raises:
        PoolUsageError: when the request holds one, in development or a test.
    """
    request = current_request.get()
    if request is None or not (live := request.live()):
        return
    line = f"{activity} at {call_site.current_site()}"
    sentence = (
        f"{line} while the request holds a connection, borrowed at {call_site.format_site(live[0].stack)}: "
        "no other request can use it meanwhile. Leave the with block (or close the session) first."
    )
    if request.guard_raises:
        raise PoolUsageError(sentence)
    for callback in _callbacks:
        callback(activity)
    if len(_logged_lines) < MAX_CACHED_LINES and _logged_lines.setdefault(line, sentence) is sentence:
        log.warning("%s", sentence)


def install(on_blocking_call: Callable[[str], None]) -> None:
    """Guard time.sleep and new network connections of this process; a second call does nothing.

    `on_blocking_call` is called with the activity, e.g. "sleeping", where a connection is held and no error is raised.
    """
    # One step, which one of two threads takes: a second guard around `time.sleep` would report everything twice.
    own = object()
    if _installed.setdefault("guard", own) is not own:
        return
    _callbacks.append(on_blocking_call)
    # Python 3.11 has no audit event for sleep, as later ones do.
    time.sleep = _guard_sleep(time.sleep)
    sys.addaudithook(_audit_hook)


def _guard_sleep(sleep: Any) -> Any:
    @functools.wraps(sleep)
    def guarded(seconds: float) -> None:
        assert_no_connection_held("sleeping")
        sleep(seconds)

    return guarded


def _audit_hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _NETWORK_EVENTS or connect_state.in_progress:
        return
    if event == "socket.connect" and not isinstance(arguments[1], tuple):
        # A Unix socket: the peer is on this machine.
        return
    try:
        assert_no_connection_held("calling out")
    except PoolUsageError:
        if event == "socket.connect":
            # Its owner expects an OSError at most, and would leave the socket open.
            arguments[0].close()
        raise
