"""Whether a name and a password belong together; guessing is slow, and slows no other user."""

from __future__ import annotations

import logging

from poolproof import event_log
from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.accounts import passwords, throttle, users
from webapp.accounts.devices import Device
from webapp.accounts.throttle import FREE_FAILURES, ThrottledKeys
from webapp.accounts.users import Credentials, UserRecord
from webapp.errors import ForbiddenError, SignInRequiredError, SignInThrottledError

log = logging.getLogger(__name__)

_throttled = ThrottledKeys()


def authenticate(work: UnitOfWork, name: str, password: str, device: Device) -> UserRecord:
    """Return the user who has this name and this password.

    Raises:
        SignInRequiredError: when there is no such user, or the password is another.
        SignInThrottledError: when too many sign-ins under this name have failed on unknown devices.
        ForbiddenError: when the user is disabled.
        BusyError: when as many sign-ins as may are under way.
    """
    # Once, so that all spellings of a name are counted together.
    name = users.canonical_name(name)
    is_known = device.knows(name)
    key = throttle.key_of_device(device.id) if is_known else throttle.key_of_name(name)
    _throttled.check(key)
    with passwords.hash_slot(is_known=is_known):
        credentials, failures = _load(work, name, key)
        password_hash = credentials.password_hash if credentials else None
        is_right = passwords.verify_password(password, password_hash, is_known=is_known)
    if credentials is None or not is_right:
        _record_failure(work, key, name if credentials else None, failures + 1)
        raise SignInRequiredError("Name or password is wrong.")
    if failures:
        work.run_in_transaction(lambda connection: throttle.forget_failures(connection, key), idempotent=True)
        _throttled.forget(key)
    if credentials.user.disabled_at is not None:
        raise ForbiddenError("This account is disabled. An operator can enable it.")
    return credentials.user


def _load(work: UnitOfWork, name: str, key: bytes) -> tuple[Credentials | None, int]:
    with work.read() as connection:
        failures, remaining = throttle.count_failures(connection, key)
        credentials = users.find_credentials(connection, name)
    if remaining > 0:
        _throttled.refuse(key, remaining)
        raise SignInThrottledError(remaining)
    return credentials, failures


def _record_failure(work: UnitOfWork, key: bytes, known_name: str | None, failures: int) -> None:
    work.run_in_transaction(lambda connection: throttle.record_failure(connection, key), idempotent=True)
    if seconds := throttle.delay_after(failures):
        _throttled.refuse(key, seconds)
    if failures >= FREE_FAILURES:
        # What was typed as a name may be a password: only the name of a user is logged.
        whose = f"the user {known_name}" if known_name else "a name that no user has"
        sentence = f"Somebody guesses passwords: {failures} sign-ins in a row have failed for {whose}."
        log.warning(sentence)
        event_log.record_throttled("guessing", sentence)
