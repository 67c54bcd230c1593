"""The visitors of the matrix of routes, and what the service answers them: real sign-ins, at both of its addresses.

A cell is what a request got: let in, turned away with a status, or sent to the sign-in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from flask import Flask
from werkzeug.routing import Rule

from tests.support.narrowing import match_in
from webapp.first_start import FIRST_AUTHOR
from webapp.lab.services.poolproof_service import PoolproofService

LET_IN, TO_SIGN_IN = "+", "in"
TURNED_AWAY = {400, 401, 403, 404, 405}
VISITORS = ("stranger", "player", "author", "operator", "disabled", "AUTHOR", "OPERATOR", "DISABLED", "forged")
LISTENERS = ("public", "console")
SIGN_OUT = "account_pages.sign_out"
PASSWORDS = {"grace": "an operator's password", "eve": "a password that was good"}
ROLES = {"author": FIRST_AUTHOR, "operator": "grace", "disabled": "eve"}
REPORT = "20260101T000000Z-push"
BODIES = {"attempts.put_answer": {"choices": [0]}}
"""Of operations that may look at the body before they look at who sends it."""
CROSS_SITE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}


@dataclass(frozen=True, order=True)
class Route:
    """An endpoint and a method; HEAD goes with GET, and OPTIONS says nothing of anybody's."""

    endpoint: str
    method: str


@dataclass
class Visitor:
    """Somebody with what they have: a browser that may be signed in, or a token, and perhaps an attempt."""

    client: httpx2.Client
    form: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    attempt: str = "not-an-attempt"


def routes(app: Flask) -> dict[Route, Rule]:
    """Return every route of an app."""
    return {
        Route(rule.endpoint, method): rule
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


class Things:
    """What the addresses of routes name, made over REST by an author; each exists, so that 404 means turned away."""

    def __init__(self, client: httpx2.Client, token: str) -> None:
        """Make them."""
        self._client, self._headers = client, {"Authorization": f"Bearer {token}"}
        stem = {"kind": "single", "stem": "What holds connections?", "choices": ["A pool", "A pond"], "right": [0]}
        self.item = self._post("/items", stem)["id"]
        self.played, self.edited = self._publish("Played"), self._publish("Edited")
        self.run = self._post("/collection-runs", {"source": "opentdb"})["id"]
        gift = "::one:: Two plus two? {=4 ~5}"
        done = client.post("/api/v1/items/import?format=gift", content=gift, headers=self._headers)
        self.imported = done.raise_for_status().json()["id"]

    def values(self, endpoint: str, attempt: str) -> dict[str, Any]:
        """Return what an address of this endpoint is made of. What ends a quiz is tried on another than the played."""
        feature, _, action = endpoint.partition(".")
        is_played = feature in {"attempts", "attempt_pages"} or action == "read_quiz"
        names = {"console.report": REPORT, "files.file": "poolproof.css", "docs.swagger_file": "swagger-ui.css"}
        quiz_id, slug = self.played if is_played else self.edited
        return {
            "quiz_id": quiz_id, "slug": slug, "item_id": self.item, "run_id": self.run, "import_id": self.imported,
            "token": attempt, "name": names.get(endpoint, ""), "filename": "icon.svg", "action": "pause",
            "code": "C2C2C2",
            "source": "draft",
        }  # fmt: skip

    def attempt(self) -> str:
        """Start an attempt."""
        return str(self._post(f"/quizzes/{self.played[0]}/attempts", {"name": "Ann"})["token"])

    def _publish(self, title: str) -> tuple[int, str]:
        quiz = self._post("/quizzes", {"title": title, "items": [self.item]})
        self._post(f"/quizzes/{quiz['id']}/publish", {})
        return quiz["id"], quiz["slug"]

    def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._client.post(f"/api/v1{path}", json=body, headers=self._headers).raise_for_status().json()


@contextmanager
def all_visitors(service: PoolproofService) -> Iterator[tuple[Things, dict[tuple[str, str], Visitor]]]:
    """Sign all visitors in at both listeners, then disable one; return them by listener and name, and the things."""
    reports = Path(service.environment["POOLPROOF_INSTANCE"]) / "reports"
    reports.mkdir()
    (reports / f"{REPORT}.html").write_text("<p>A report.</p>")
    for name, password in PASSWORDS.items():
        added = service.run_command("user", "add", name, "--role", "operator", "--password-stdin", stdin=password)
        assert added.returncode == 0, added.stderr
    with ExitStack() as clients:

        def browser(listener: str) -> httpx2.Client:
            address = {"public": service.address, "console": service.console}[listener]
            return clients.enter_context(httpx2.Client(base_url=address, timeout=60, trust_env=False))

        author = _token(browser("public"), FIRST_AUTHOR, service.password)
        things = Things(browser("public"), author)
        visitors = {
            (listener, name): visitor
            for listener in LISTENERS
            for name, visitor in _visitors_of(listener, browser, things, service.password).items()
        }
        disabled = service.run_command("user", "disable", "eve")
        assert disabled.returncode == 0, disabled.stderr
        yield things, visitors


def ask(app: Flask, visitor: Visitor, things: Things, route: Route, rule: Rule) -> str:
    """Make one request; return its cell."""
    values = things.values(route.endpoint, visitor.attempt)
    path = app.url_map.bind("localhost").build(route.endpoint, {name: values[name] for name in rule.arguments})
    is_rest = path.startswith("/api/")
    body: dict[str, Any] = {}
    if route.method != "GET":
        body = {"json": BODIES.get(route.endpoint, {})} if is_rest else {"data": visitor.form}
    response = visitor.client.request(route.method, path, headers=visitor.headers, **body)
    assert response.status_code < 500, (route, response.status_code, response.text[:300])
    if response.headers.get("Location", "").startswith("/sign-in"):
        return TO_SIGN_IN
    return str(response.status_code) if response.status_code in TURNED_AWAY else LET_IN


def _visitors_of(listener: str, browser: Any, things: Things, authors_password: str) -> dict[str, Visitor]:
    passwords = {FIRST_AUTHOR: authors_password, **PASSWORDS}
    visitors = {"stranger": _signed_out(browser(listener)), "player": _signed_out(browser(listener))}
    visitors["player"].attempt = things.attempt()
    for role, name in ROLES.items():
        visitors[role] = _signed_in(browser(listener), name, passwords[name])
        token = _token(browser(listener), name, passwords[name])
        visitors[role.upper()] = _signed_out(browser(listener))
        visitors[role.upper()].headers = {"Authorization": f"Bearer {token}"}
    # An operator's browser on the page of another site, which knows no token of its forms.
    forged = _signed_in(browser(listener), "grace", passwords["grace"])
    forged.form, forged.headers = {}, CROSS_SITE
    return {name: visitors.get(name, forged) for name in VISITORS}


def _signed_out(client: httpx2.Client) -> Visitor:
    return Visitor(client, {"csrf_token": _csrf_token(client)})


def _signed_in(client: httpx2.Client, name: str, password: str) -> Visitor:
    form = {"csrf_token": _csrf_token(client), "name": name, "password": password}
    response = client.post("/sign-in", data=form)
    assert response.status_code == 302, response.text
    return Visitor(client, {"csrf_token": _csrf_token(client)})


def _csrf_token(client: httpx2.Client) -> str:
    return match_in(r'name="csrf_token"[^>]*value="([^"]+)"', client.get("/sign-in").text)[1]


def _token(client: httpx2.Client, name: str, password: str) -> str:
    response = client.post("/api/v1/tokens", json={"name": name, "password": password})
    return str(response.raise_for_status().json()["token"])
