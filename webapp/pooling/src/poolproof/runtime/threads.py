"""Whether the process has what the pool is built on: a thread of the operating system for each request.

A wait for a connection, and every statement, blocks its thread. Where many requests share one thread, the wait for a
connection keeps the request that has it from giving it back, for ever.
"""

from __future__ import annotations

import sys

from poolproof.errors import PoolConfigurationError

_PATCHES = (("gevent", "gevent.monkey", "is_module_patched"), ("eventlet", "eventlet.patcher", "is_monkey_patched"))
"""Libraries that replace threads, each with the module and function that say whether they have."""
REMEDY = "Poolproof needs a thread for each request: use threads, as Gunicorn's worker_class gthread does."


def require_threads() -> None:
    """Check that no library has put something else in the place of threads.

    Raises:
        PoolConfigurationError: when one has.
    """
    for library, module, function in _PATCHES:
        # Not imported here: what was not imported has replaced nothing.
        is_patched = getattr(sys.modules.get(module), function, None)
        if is_patched is not None and (is_patched("threading") or is_patched("thread")):
            raise PoolConfigurationError(f"{library} has replaced Python's threads in this process. {REMEDY}")


def require_no_event_loop() -> None:
    """Check that the caller, which is about to serve a request, is no task of an event loop.

    A loop that is suspended below the caller does not count: Playwright's, under a test that also calls an app, is one.

    Raises:
        PoolConfigurationError: when it is: the loop would stand still whenever the request waits.
    """
    # Not imported here: without asyncio there is no loop.
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return
    if task is not None:
        raise PoolConfigurationError(f"A request is served in the thread of an event loop. {REMEDY}")
