"""An operator who is signed in at the console of a running service."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from webapp.lab.services.poolproof_service import Service, poolproof
from webapp.lab.services.processes import tail

NAME, PASSWORD = "grace", "an operator's password"
SIGN_IN_TIMEOUT = 30.0
POLL_INTERVAL = 0.1
"""Seconds."""


class NotSignedInError(Exception):
    """The service did not let the operator in; the text is what it answered."""


@dataclass
class Operator:
    """An operator of a service; `operator` is the client with the session."""

    service: Service
    operator: httpx.Client

    def data(self) -> dict[str, Any]:
        """Return what the console shows."""
        try:
            answer = self.operator.get("/console/data.json")
        except httpx.TransportError:
            # The worker at the other end of the kept connection was killed; a browser asks again, too.
            answer = self.operator.get("/console/data.json")
        shown: dict[str, Any] = answer.raise_for_status().json()
        return shown

    def workers(self) -> dict[int, dict[str, Any]]:
        """Return the workers that the console shows, by process id."""
        return {one["pid"]: one for one in self.data()["processes"] if one["name"] == "worker"}

    def act(self, deed: str, **values: str) -> str:
        """Do what a button does as a person would: ask for it, confirm it, return what the page says then."""
        page = self.operator.get(f"/console/deeds/{deed}", params=values).raise_for_status().text
        form = {**values, "csrf_token": _one(r'name="csrf_token" value="([^"]+)"', page)}
        done = self.operator.post(f"/console/deeds/{deed}", data=form, follow_redirects=True).raise_for_status().text
        return _one(r'<p class="note [a-z]+" role="[a-z]+">(.*?)</p>', done)


def add_operator(environment: Mapping[str, str]) -> None:
    """Make the operator's account in the database of these settings.

    Raises:
        NotSignedInError: when it cannot be made.
    """
    words = ("user", "add", NAME, "--role", "operator", "--password-stdin")
    done = poolproof(environment, *words, given=f"{PASSWORD}\n")
    if done.returncode:
        raise NotSignedInError(done.stderr)


@contextmanager
def signed_in(service: Service) -> Iterator[Operator]:
    """Sign in an operator, whose account `add_operator` has made.

    Raises:
        NotSignedInError: when the service does not let the operator in.
    """
    with httpx.Client(base_url=service.console, timeout=20) as operator:
        _sign_in(service, operator)
        yield Operator(service, operator)


def _sign_in(service: Service, operator: httpx.Client) -> None:
    deadline = time.monotonic() + SIGN_IN_TIMEOUT
    while True:
        try:
            page = operator.get("/sign-in").text
            break
        except httpx.TransportError as error:
            if time.monotonic() > deadline:
                raise NotSignedInError(f"The console does not answer. Its log ends:\n{tail(service.log)}") from error
            time.sleep(POLL_INTERVAL)
    form = {"name": NAME, "password": PASSWORD, "csrf_token": _one(r'name="csrf_token"[^>]*value="([^"]+)"', page)}
    answer = operator.post("/sign-in", data=form, params={"next": "/console"})
    if answer.headers.get("Location") != "/console":
        raise NotSignedInError(answer.text)


def _one(pattern: str, page: str) -> str:
    found = re.search(pattern, page, re.DOTALL)
    if found is None:
        raise NotSignedInError(f"The page has no {pattern}:\n{page}")
    return found[1]
