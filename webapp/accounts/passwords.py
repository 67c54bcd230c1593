"""Passwords: argon2id with its library's defaults (RFC 9106), a few at a time.

A hash takes 64 MiB and a tenth of a second of all cores. So a worker computes one at a time for unknown devices, on
which no sign-in has succeeded before, few in a minute, and with a low priority, so that players' requests are served
first. A sign-in that finds others waiting is refused at once, because its wait would occupy a request thread that
players need. Known devices have a turn of their own, at the usual priority.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

from poolproof import event_log
from poolproof.transactions.outcomes import WriteOutcome
from webapp.errors import BusyError, InvalidInputError
from webapp.messages import message
from webapp.web.token_bucket import TokenBucket

log = logging.getLogger(__name__)

MIN_LENGTH = 10
MAX_LENGTH = 256
MAX_WAITING = 2
"""Sign-ins that wait for their turn; the next is refused at once."""
RATE, BURST = 0.5, 20.0
"""Hashes a second for unknown devices, in the long run, and how many at once; in each worker."""
NICENESS = 10
"""Of the threads that compute them: beside busy request threads they get a tenth of the time."""
TURN_TIMEOUT = 3.0
"""Seconds for which a sign-in waits for its turn."""
FLOOD = "Sign-ins are refused, because more come than a worker looks at: somebody may be guessing under many names."

UNKNOWN_USER_HASH = "$argon2id$v=19$m=65536,t=3,p=4$0SunlgAsWFNgVwlZYIh5dw$57e3vr4ogvXSQgzFudqL1j0gzKxFML5RndfsHpc2eaw"
"""The hash of a random password that was not kept.

It is verified where there is no such user, so that the duration of a sign-in does not reveal which names exist. It has
the library's default parameters (a test checks that), and is a constant since computing it takes as long as a sign-in.
"""


class _Turns:
    """One hash at a time; `rate` a second in the long run (None: any number)."""

    def __init__(self, rate: float | None) -> None:
        self._bucket = TokenBucket(rate, BURST, BURST, time.monotonic()) if rate is not None else None
        self._count = 0
        # Guards what stands above; `_mutex` is held while a hash is computed.
        self._lock, self._mutex = threading.Lock(), threading.Lock()

    @contextmanager
    def take(self) -> Iterator[None]:
        """Have a turn while the block runs.

        Raises:
            BusyError: when too many wait already, or there were too many of late.
        """
        with self._lock:
            if self._count > MAX_WAITING or (self._bucket is not None and self._bucket.take(time.monotonic()) > 0):
                raise _busy_error()
            self._count += 1
        try:
            if not self._mutex.acquire(timeout=TURN_TIMEOUT):
                raise _busy_error()
            try:
                yield
            finally:
                self._mutex.release()
        finally:
            with self._lock:
                self._count -= 1


_turns_of_unknown_devices, _turns_of_known_devices = _Turns(RATE), _Turns(None)


def hash_slot(*, is_known: bool) -> AbstractContextManager[None]:
    """Return a context in which one password may be verified; `is_known` for a device that has signed in before.

    Raises:
        BusyError: on entering, when as many sign-ins as may are under way.
    """
    return (_turns_of_known_devices if is_known else _turns_of_unknown_devices).take()


def hash_password(password: str) -> str:
    """Return the hash to store.

    Raises:
        InvalidInputError: when the password is too short or too long.
    """
    from argon2 import PasswordHasher

    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise InvalidInputError(
            message("A password has %(least)s to %(most)s characters.", least=MIN_LENGTH, most=MAX_LENGTH)
        )
    return PasswordHasher().hash(password)


def verify_password(password: str, password_hash: str | None, *, is_known: bool = True) -> bool:
    """Say whether the password belongs to the hash; as slow for None as for a wrong one. Called in a `hash_slot`."""
    return _verify(password, password_hash) if is_known else _call_with_low_priority(_verify, password, password_hash)


def _verify(password: str, password_hash: str | None) -> bool:
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return PasswordHasher().verify(password_hash or UNKNOWN_USER_HASH, password) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False


def _call_with_low_priority(function: Callable[..., bool], *arguments: object) -> bool:
    """Call a function in a thread of its own, whose priority only falls: to raise it again takes a privilege."""
    with ThreadPoolExecutor(1, "password", _lower_priority) as thread:
        return thread.submit(function, *arguments).result()


def _lower_priority() -> None:
    if sys.platform == "linux":
        # Linux alone has a priority for each thread; argon2's own threads inherit it.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def random_password() -> str:
    """Return a random password of 20 characters, 120 bits."""
    return secrets.token_urlsafe(15)


def _busy_error() -> BusyError:
    if event_log.record_throttled("sign-ins refused", FLOOD):
        log.warning(FLOOD)
    return BusyError("Many people are signing in just now.", "Please try again in a moment.", WriteOutcome.NOT_DONE)
