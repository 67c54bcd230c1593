"""Every route has a line in `route_access.txt`, which says who is let in at which listener; each cell is requested."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.support.route_access import LISTENERS, SIGN_OUT, VISITORS, Route, all_visitors, ask, routes
from webapp.lab.services.poolproof_service import run_poolproof_service

TABLE = Path(__file__).with_name("route_access.txt")
Cells = tuple[str, ...]
PLACES = [(listener, name) for listener in LISTENERS for name in VISITORS]
"""The columns of the table."""


def table() -> dict[Route, Cells]:
    """Read the table."""
    lines = [line.replace("|", " ").split() for line in TABLE.read_text().splitlines()]
    rows = [line for line in lines if line and line[0] != "#"]
    assert [row[:2] for row in rows] == sorted(row[:2] for row in rows)
    return {Route(endpoint, method): tuple(cells) for endpoint, method, *cells in rows}


def line(route: Route, cells: Cells) -> str:
    """Return a route's line as it stands in the table."""
    halves = (cells[: len(VISITORS)], cells[len(VISITORS) :])
    shown = " | ".join(" ".join(f"{cell:<3}" for cell in half) for half in halves)
    return f"{route.endpoint:<29}{route.method:<7}| {shown}".rstrip()


def test_every_route_has_a_line_and_every_line_a_route(app: Flask) -> None:
    there, written = set(routes(app)), set(table())
    assert there - written == set(), "these routes have no line in the table"
    assert written - there == set(), "these lines have no route"
    assert {len(cells) for cells in table().values()} == {len(PLACES)}


@pytest.mark.slow(reason="some 1,400 requests to a service with two listeners, and eleven sign-ins")
def test_every_visitor_gets_at_every_listener_what_the_table_says(
    app_on: Callable[[str], Flask], prepared_schema: Callable[[str, str], str], tmp_path: Path
) -> None:
    app = app_on("sqlite")
    rules = routes(app)
    # A browser that signs out can be asked nothing more.
    order = sorted(rules, key=lambda route: (route.endpoint == SIGN_OUT, route))
    got: dict[Route, dict[tuple[str, str], str]] = {route: {} for route in rules}
    url = prepared_schema("sqlite", "route_access")
    with (
        run_poolproof_service(url, tmp_path, POOLPROOF_WORKERS="1", POOLPROOF_PLAYER_RATE_LIMIT="0") as service,
        all_visitors(service) as (things, visitors),
    ):
        for place in PLACES:
            for route in order:
                got[route][place] = ask(app, visitors[place], things, route, rules[route])
    seen = {route: tuple(cells[place] for place in PLACES) for route, cells in got.items()}
    wrong = [line(route, seen[route]) for route in sorted(seen) if seen[route] != table().get(route)]
    assert wrong == [], "the service answered otherwise than the table says:\n" + "\n".join(wrong)


def names_used(function: Any, module_functions: dict[str, Any]) -> set[str]:
    """Return the names that a function uses, and those that functions of its own module use for it."""
    names, open_functions = set[str](), [function]
    while open_functions:
        code = open_functions.pop().__code__
        codes = [code, *(each for each in code.co_consts if hasattr(each, "co_names"))]
        new = {name for each in codes for name in each.co_names} - names
        names |= new
        open_functions += [module_functions[name] for name in new if name in module_functions]
    return names


def test_every_view_that_uses_the_background_lane_declares_that_it_takes_long(app: Flask) -> None:
    users, declared = set(), set()
    for name, view in app.view_functions.items():
        plain = inspect.unwrap(getattr(view, "view_class", view))
        if not inspect.isfunction(plain):
            continue
        module = sys.modules[plain.__module__]
        functions = {key: value for key, value in vars(module).items() if inspect.isfunction(value)}
        if "background" in names_used(plain, functions):
            users.add(name)
        if hasattr(view, "takes_long"):
            declared.add(name)
    assert users == declared
    assert len(users) == 11
