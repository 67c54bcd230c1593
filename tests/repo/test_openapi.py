from __future__ import annotations

import functools
import json
import random
from collections import Counter
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from poolproof.transactions.unit_of_work import UnitOfWork
from webapp.lab.factories import make_draft, make_item, make_quiz

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@dataclass(frozen=True)
class Request:
    """One that was drawn: what identifies things in it is chosen when it is sent."""

    case: Case[Any]
    path_parameters: dict[str, Any]
    headers: dict[str, Any]
    seed: int
    is_signed_in: bool


@functools.cache
def drawn(document: str, examples: int) -> list[Request]:
    """Draw so many requests of each operation, good ones and bad ones; every database is sent the same."""
    requests: list[Request] = []
    for found in schemathesis.openapi.from_dict(json.loads(document)).get_all_operations():
        assert isinstance(found, Ok), found.err()
        operation = found.ok()
        for mode in GenerationMode:

            @settings(
                max_examples=examples,
                phases=[Phase.generate],
                derandomize=True,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            @given(
                case=operation.as_strategy(generation_mode=mode),
                seed=st.integers(0, 2**32 - 1),
                is_signed_in=st.booleans(),
            )
            def draw(case: Case[Any], seed: int, is_signed_in: bool) -> None:
                parts = dict(case.path_parameters or {}), dict(case.headers or {})
                requests.append(Request(case, *parts, seed, is_signed_in))

            # Some operations take nothing that could be wrong.
            with suppress(Unsatisfiable) if mode is GenerationMode.NEGATIVE else nullcontext():
                draw()
    return requests


@pytest.mark.parametrize("examples", [6, pytest.param(60, marks=pytest.mark.soak)])
def test_no_request_makes_a_5xx_or_an_answer_that_is_not_documented(
    app: Flask, author: dict[str, str], work: UnitOfWork, examples: int
) -> None:
    known = {
        "item_id": work.run_in_transaction(make_item).id,
        "quiz_id": make_draft(work).id,
        "import_id": 1,
        "open": make_quiz(work).quiz_id,
    }
    start = app.test_client().post(f"/api/v1/quizzes/{known['open']}/attempts", json={})
    token = start.get_json()["token"]
    document = app.test_client().get("/api/v1/openapi.json").text
    statuses: Counter[int] = Counter()
    for request in drawn(document, examples):
        case, choose = request.case, random.Random(request.seed)
        case.path_parameters, case.headers = dict(request.path_parameters), type(case.headers)(request.headers)
        for name in sorted(set(case.path_parameters) & {"token", "item_id", "quiz_id", "import_id"}):
            if choose.random() < 0.7:
                real = [token] if name == "token" else [known[name], known["open"]]
                case.path_parameters[name] = choose.choice(real)
        if "If-Match" in case.headers and choose.random() < 0.5:
            case.headers["If-Match"] = '"1"'
        response = case.call(headers=author if request.is_signed_in else {}, app=app)
        statuses[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)
    # The run has been everywhere: it was served, refused, and told what was wrong.
    assert {200, 401, 404, 422} <= set(statuses)
