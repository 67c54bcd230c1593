"""A client that is signed in as operator at the console of a running service."""

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
    """The sign-in failed; the text is the response of the service."""


@dataclass
class Operator:
    """An operator of a service; `client` has the session."""

    service: PoolproofService
    client: httpx2.Client

    def fetch_data(self) -> dict[str, Any]:
        """Return the data that the console shows."""
        try:
            response = self.client.get("/console/data.json")
        except httpx2.TransportError:
            # The worker at the other end of the keep-alive connection was killed; a browser retries, too.
            response = self.client.get("/console/data.json")
        data: dict[str, Any] = response.raise_for_status().json()
        return data

    def workers(self) -> dict[int, dict[str, Any]]:
        """Return the workers that the console shows, by process id."""
        processes = self.fetch_data()["processes"]
        return {process["pid"]: process for process in processes if process["name"] == "worker"}

    def perform(self, action: str, **values: str) -> str:
        """Request an action, confirm it, and return the notice of the next page, as with the console's buttons."""
        page = self.client.get(f"/console/actions/{action}", params=values).raise_for_status().text
        form = {**values, "csrf_token": _extract(r'name="csrf_token" value="([^"]+)"', page)}
        done = self.client.post(f"/console/actions/{action}", data=form, follow_redirects=True).raise_for_status().text
        return _extract(r'<p class="alert [a-z]+" role="[a-z]+">(.*?)</p>', done)


def add_operator(environment: Mapping[str, str]) -> None:
    """Create the operator's account in the database of these settings.

    Raises:
        NotSignedInError: when it cannot be created.
    """
    arguments = ("user", "add", NAME, "--role", "operator", "--password-stdin")
    done = run_poolproof(environment, *arguments, stdin=f"{PASSWORD}\n")
    if done.returncode:
        raise NotSignedInError(done.stderr)


@contextmanager
def signed_in(service: PoolproofService) -> Iterator[Operator]:
    """Sign in an operator, whose account `add_operator` has created.

    Raises:
        NotSignedInError: when the service refuses.
    """
    with httpx2.Client(base_url=service.console, timeout=20) as client:
        _sign_in(service, client)
        yield Operator(service, client)


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
    response = client.post("/sign-in", data=form, params={"next": "/console"})
    if response.headers.get("Location") != "/console":
        raise NotSignedInError(response.text)


def _extract(pattern: str, page: str) -> str:
    match = re.search(pattern, page, re.DOTALL)
    if match is None:
        raise NotSignedInError(f"The page has no {pattern}:\n{page}")
    return match[1]
