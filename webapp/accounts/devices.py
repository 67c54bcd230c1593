"""Devices that have signed in before, known by a signed cookie.

A guess on an unknown device makes the next one wait; the owner of the name, on a device that the cookie knows, does
not. (OWASP, "Slow Down Online Guessing Attacks with Device Cookies".)
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

from itsdangerous import BadSignature, URLSafeTimedSerializer

MAX_AGE = timedelta(days=365)
MAX_NAMES = 8
"""Users who may share a device; the one that signed in first is forgotten."""


@dataclass(frozen=True)
class Device:
    """A browser, and the names under which it has signed in."""

    id: str
    names: tuple[str, ...] = ()

    def knows(self, name: str) -> bool:
        """Say whether a sign-in under this name has succeeded here."""
        return name.casefold() in self.names

    def with_name(self, name: str) -> Device:
        """Return the device after a sign-in under this name."""
        others = [known for known in self.names if known != name.casefold()]
        return Device(self.id, (*others, name.casefold())[-MAX_NAMES:])


def new_device() -> Device:
    """Return a device on which no sign-in has succeeded."""
    return Device(secrets.token_hex(16))


def issue(device: Device, key: str) -> str:
    """Return the cookie of a device, signed with `key`."""
    token = _serializer(key).dumps([device.id, *device.names])
    return token if isinstance(token, str) else token.decode()


def read_device(cookie: str, key: str) -> Device:
    """Return the device of a cookie; a new one when it is not ours, was changed, or is too old."""
    try:
        device_id, *names = _serializer(key).loads(cookie, max_age=int(MAX_AGE.total_seconds()))
    except (BadSignature, ValueError, TypeError):
        return new_device()
    return Device(str(device_id), tuple(map(str, names)))


def _serializer(key: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(key, salt="poolproof device")
