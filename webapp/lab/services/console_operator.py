"""An operator who is signed in at the console of a running service."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from webapp.lab.services.poolproof_service import PoolproofService, run_poolproof
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

    service: PoolproofService
    client: httpx2.Client

    def fetch_data(self) -> dict[str, Any]:
        """Return what the console shows."""
        try:
            answer = self.client.get("/console/data.json")
        except httpx2.TransportError:
            # The worker at the other end of the kept connection was killed; a browser asks again, too.
            answer = self.client.get("/console/data.json")
        shown: dict[str, Any] = answer.raise_for_status().json()
        return shown

    def workers(self) -> dict[int, dict[str, Any]]:
        """Return the workers that the console shows, by process id."""
        return {one["pid"]: one for one in self.fetch_data()["processes"] if one["name"] == "worker"}

    def perform(self, action: str, **values: str) -> str:
        """Do what a button does as a person would: ask for it, confirm it, return what the page says then."""
        page = self.client.get(f"/console/actions/{action}", params=values).raise_for_status().text
        form = {**values, "csrf_token": _extract(r'name="csrf_token" value="([^"]+)"', page)}
        done = self.client.post(f"/console/actions/{action}", data=form, follow_redirects=True).raise_for_status().text
        return _extract(r'<p class="alert [a-z]+" role="[a-z]+">(.*?)</p>', done)


def add_operator(environment: Mapping[str, str]) -> None:
    """Make the operator's account in the database of these settings.

    Raises:
        NotSignedInError: when it cannot be made.
    """
    words = ("user", "add", NAME, "--role", "operator", "--password-stdin")
    done = run_poolproof(environment, *words, stdin=f"{PASSWORD}\n")
    if done.returncode:
        raise NotSignedInError(done.stderr)


@contextmanager
def signed_in(service: PoolproofService) -> Iterator[Operator]:
    """Sign in an operator, whose account `add_operator` has made.

    Raises:
        NotSignedInError: when the service does not let the operator in.
    """
    with httpx2.Client(base_url=service.console, timeout=20) as operator:
        _sign_in(service, operator)
        yield Operator(service, operator)


def _sign_in(service: PoolproofService, client: httpx2.Client) -> None:
    deadline = time.monotonic() + SIGN_IN_TIMEOUT
    while True:
        try:
            page = client.get("/sign-in").text
            break
        except httpx2.TransportError as error:
            if time.monotonic() > deadline:
                raise NotSignedInError(f"The console does not answer. Its log ends:\n{tail(service.log)}") from error
            time.sleep(POLL_INTERVAL)
    form = {"name": NAME, "password": PASSWORD, "csrf_token": _extract(r'name="csrf_token"[^>]*value="([^"]+)"', page)}
    answer = client.post("/sign-in", data=form, params={"next": "/console"})
    if answer.headers.get("Location") != "/console":
        raise NotSignedInError(answer.text)


def _extract(pattern: str, page: str) -> str:
    found = re.search(pattern, page, re.DOTALL)
    if found is None:
        raise NotSignedInError(f"The page has no {pattern}:\n{page}")
    return found[1]
