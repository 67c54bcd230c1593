"""What happens in a child process right after a fork: one registry, and one order.

A child of fork has one thread, the one that forked. Everything else is a copy of the parent's memory at some moment:
locks that no thread of the child will ever release, records of threads that do not exist here, and file descriptors of
sockets and lock files that still belong to the parent. Each module registers what it has to repair, in one of the
phases below; they run one after the other, so that no repair depends on something that is not repaired yet.
"""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable
from enum import IntEnum
from typing import Protocol

log = logging.getLogger(__name__)


class Phase(IntEnum):
    """When a repair runs; within a phase, in the order of registration."""

    LOCKS = 1
    """Replace locks and drop inherited lock files. First: every later phase may call code that takes a lock."""
    THREADS = 2
    """Forget what the parent's threads were doing: periodic threads, queued writes, checkouts.

    Before the connections: a leak detector that still saw those checkouts would close the parent's sockets.
    """
    CONNECTIONS = 3
    """Drop inherited connections without closing them: a polite close would end the parent's session."""
    APPLICATION = 4
    """What is left: the service's own state, which may rely on all of the above."""


class ForkAware(Protocol):
    """An object that can be repaired after a fork."""

    def reset_after_fork(self) -> None: ...  # noqa: D102


_callbacks: dict[Phase, list[Callable[[], None]]] = {phase: [] for phase in Phase}
_instances: dict[Phase, weakref.WeakSet[ForkAware]] = {phase: weakref.WeakSet() for phase in Phase}


def register(callback: Callable[[], None], phase: Phase) -> None:
    """Call `callback` in every child of fork from now on, for as long as the process lives."""
    _callbacks[phase].append(callback)


def track(instance: ForkAware, phase: Phase) -> None:
    """Call `instance.reset_after_fork()` in every child of fork, for as long as the object exists."""
    _instances[phase].add(instance)


def repair_child() -> None:
    """Run every phase in order; an error in one repair is logged and keeps none of the others from running."""
    for phase in Phase:
        for callback in [*_callbacks[phase], *(instance.reset_after_fork for instance in list(_instances[phase]))]:
            try:
                callback()
            except Exception:
                log.exception("A repair after a fork has failed: %r", callback)


os.register_at_fork(after_in_child=repair_child)
