"""A sign-in with the form, as a browser does it; the client keeps the cookies."""

from __future__ import annotations

import re
import time

import httpx2

_CSRF_FIELD = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


class NotSignedInError(Exception):
    """The service has refused the sign-in; the text is its response."""


def sign_in(client: httpx2.Client, name: str, password: str, next_page: str = "/studio", *, prefix: str = "") -> float:
    """Sign in, and return how many seconds the response to the form took; `prefix` is that of the service's paths.

    Raises:
        NotSignedInError: when the service refuses.
    """
    page = client.get("sign-in").text
    field = _CSRF_FIELD.search(page)
    if field is None:
        raise NotSignedInError(f"The page has no form:\n{page}")
    started_at = time.monotonic()
    form = {"name": name, "password": password, "csrf_token": field[1]}
    response = client.post("sign-in", data=form, params={"next": next_page})
    if response.headers.get("Location") != prefix + next_page:
        raise NotSignedInError(response.text)
    return time.monotonic() - started_at
