"""Keeps requests from sleeping, rendering or calling out while they hold a connection.

In development and tests that is an error which names the line; in production it is counted,
and logged once for each line.
"""

from __future__ import annotations

import functools
import logging
import sys
import time
from collections import Counter
from typing import Any

from webapp.pooling import driver, stacks
from webapp.pooling.errors import PoolUsageError
from webapp.pooling.holds import current_request

log = logging.getLogger(__name__)

LINES_REMEMBERED = 1000

counts: Counter[str] = Counter()
"""How often each line of this process held a connection idle, e.g. "sleeping at webapp/bank/items.py:12 in find"."""

_CALLS_OUT = {"socket.connect", "http.client.connect", "http.client.send"}
_installed: list[bool] = []


def must_hold_nothing(what: str) -> None:
    """Say that this thread is about to do `what`, which takes long and needs no connection.

    Raises:
        PoolUsageError: when a request in development or a test holds a connection.
    """
    request = current_request.get()
    if request is None or not (live := request.live()):
        return
    line = f"{what} at {stacks.caller()}"
    sentence = (
        f"{line} while the request holds a connection, borrowed at {stacks.place(live[0].stack)}: "
        "nobody else can use it meanwhile. Leave the with block (or close the session) first."
    )
    if request.raises:
        raise PoolUsageError(sentence)
    if counts[line] == 0 and len(counts) < LINES_REMEMBERED:
        log.warning("%s", sentence)
    if line in counts or len(counts) < LINES_REMEMBERED:
        counts[line] += 1


def install() -> None:
    """Watch over time.sleep and new network connections of this process; a second call does nothing."""
    if _installed:
        return
    _installed.append(True)
    # Python 3.11 has no audit event for sleep, as later ones do.
    time.sleep = _guarded(time.sleep)
    sys.addaudithook(_look)


def _guarded(sleep: Any) -> Any:
    @functools.wraps(sleep)
    def guarded(seconds: float) -> None:
        must_hold_nothing("sleeping")
        sleep(seconds)

    return guarded


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _CALLS_OUT or driver.connecting.now:
        return
    if event == "socket.connect" and not isinstance(arguments[1], tuple):
        # A socket in the file system: whoever listens is on this machine.
        return
    try:
        must_hold_nothing("calling out")
    except PoolUsageError:
        if event == "socket.connect":
            # Whoever made it expects an OSError at most, and would leave it open.
            arguments[0].close()
        raise
